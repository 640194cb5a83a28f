// SPDX-License-Identifier: GPL-2.0

//! Which errors speak of the medium.
//!
//! Drivers disagree on what a bad sector is called: SCSI reports failed writes as `IOERR`, hardware
//! errors as `TARGET`; virtio and null_blk report all as `IOERR`; NVMe and SCSI reads give `MEDIUM`.

/// A block layer status, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// `BLK_STS_OK`.
    Ok,
    /// `BLK_STS_MEDIUM`.
    Medium,
    /// `BLK_STS_IOERR`.
    IoErr,
    /// `BLK_STS_TARGET`.
    Target,
    /// Any other: the path, the request or the device's state is at fault, not the medium.
    Other,
}

/// Whether a read or write that ended with `status` may have met a bad sector.
///
/// A read-ahead never counts: drivers may fail it for reasons of their own.
pub const fn is_candidate(status: Status, readahead: bool) -> bool {
    !readahead && matches!(status, Status::Medium | Status::IoErr | Status::Target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status() {
        for (status, counts) in [
            (Status::Ok, false),
            (Status::Medium, true),
            (Status::IoErr, true),
            (Status::Target, true),
            (Status::Other, false),
        ] {
            assert_eq!(is_candidate(status, false), counts, "{status:?}");
            assert!(!is_candidate(status, true), "{status:?} on read-ahead");
        }
    }
}
