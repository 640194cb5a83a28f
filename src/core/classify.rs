// SPDX-License-Identifier: GPL-2.0

//! Which errors may speak of the medium.
//!
//! Drivers disagree on what a bad sector is called: SCSI reports failed writes as `IOERR` and
//! hardware errors as `TARGET`; virtio and null_blk report all as `IOERR`; NVMe and SCSI reads give
//! `MEDIUM`. The same three are used for much else, so they are looked into and not believed. A
//! write of zeroes that ends with `TARGET` is passed up: SCSI disks are only guessed to know that
//! command, and the block layer then writes zeroes.

/// A block layer status (`blk_status_t`).
///
/// C header: [`include/linux/blk_types.h`](srctree/include/linux/blk_types.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Status {
    Ok,
    NotSupp,
    Timeout,
    NoSpc,
    Transport,
    Target,
    ResvConflict,
    Medium,
    Protection,
    Resource,
    IoErr,
    DmRequeue,
    Again,
    DevResource,
    ZoneOpenResource,
    ZoneActiveResource,
    Offline,
    DurationLimit,
    Inval,
    /// One that was not known when this was written.
    Unknown,
}

/// What had that status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// A read that somebody waits for.
    Read,
    /// A read ahead (`REQ_RAHEAD`): drivers may fail it for reasons of their own, and nobody waits
    /// for it.
    ReadAhead,
    /// A write of data.
    Write,
    /// A write of zeroes.
    WriteZeroes,
    /// A discard, which promises nothing.
    Discard,
    /// A flush, which concerns no sector.
    Flush,
}

/// What is to be done about a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is passed on as it is.
    Pass,
    /// It may have been a bad sector: the request is tried again.
    Confirm,
}

use Verdict::{
    Confirm,
    Pass, //
};

/// For each status: what is done about it for a read, a read-ahead, a write, a write of zeroes, a
/// discard and a flush.
#[rustfmt::skip]
const TABLE: [(Status, [Verdict; 6]); 20] = [
    //                            read     ahead  write    zeroes   disc. flush
    (Status::Ok,                 [Pass,    Pass,  Pass,    Pass,    Pass, Pass]),
    (Status::NotSupp,            [Pass,    Pass,  Pass,    Pass,    Pass, Pass]),
    (Status::Timeout,            [Pass,    Pass,  Pass,    Pass,    Pass, Pass]),
    (Status::NoSpc,              [Pass,    Pass,  Pass,    Pass,    Pass, Pass]),
    (Status::Transport,          [Pass,    Pass,  Pass,    Pass,    Pass, Pass]),
    (Status::Target,             [Confirm, Pass,  Confirm, Pass,    Pass, Pass]),
    (Status::ResvConflict,       [Pass,    Pass,  Pass,    Pass,    Pass, Pass]),
    (Status::Medium,             [Confirm, Pass,  Confirm, Confirm, Pass, Pass]),
    (Status::Protection,         [Pass,    Pass,  Pass,    Pass,    Pass, Pass]),
    (Status::Resource,           [Pass,    Pass,  Pass,    Pass,    Pass, Pass]),
    (Status::IoErr,              [Confirm, Pass,  Confirm, Confirm, Pass, Pass]),
    (Status::DmRequeue,          [Pass,    Pass,  Pass,    Pass,    Pass, Pass]),
    (Status::Again,              [Pass,    Pass,  Pass,    Pass,    Pass, Pass]),
    (Status::DevResource,        [Pass,    Pass,  Pass,    Pass,    Pass, Pass]),
    (Status::ZoneOpenResource,   [Pass,    Pass,  Pass,    Pass,    Pass, Pass]),
    (Status::ZoneActiveResource, [Pass,    Pass,  Pass,    Pass,    Pass, Pass]),
    (Status::Offline,            [Pass,    Pass,  Pass,    Pass,    Pass, Pass]),
    (Status::DurationLimit,      [Pass,    Pass,  Pass,    Pass,    Pass, Pass]),
    (Status::Inval,              [Pass,    Pass,  Pass,    Pass,    Pass, Pass]),
    (Status::Unknown,            [Pass,    Pass,  Pass,    Pass,    Pass, Pass]),
];

/// What is done about a request that ended with `status`.
pub fn verdict(status: Status, request: Request) -> Verdict {
    TABLE
        .get(status as usize)
        .and_then(|(_, verdicts)| verdicts.get(request as usize))
        .map_or(Pass, |verdict| *verdict)
}

/// Whether I/O of the engine, which reads or writes and is waited for, may have met a bad sector.
pub fn is_bad_sector(status: Status) -> bool {
    verdict(status, Request::Write) == Confirm
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUESTS: [Request; 6] = [
        Request::Read,
        Request::ReadAhead,
        Request::Write,
        Request::WriteZeroes,
        Request::Discard,
        Request::Flush,
    ];

    #[test]
    fn a_row_for_each_status_in_its_place() {
        for (number, (status, _)) in TABLE.iter().enumerate() {
            assert_eq!(*status as usize, number);
        }
        for (column, request) in REQUESTS.iter().enumerate() {
            assert_eq!(*request as usize, column);
        }
    }

    /// Every status for every request, from the rule and not from the table.
    #[test]
    fn what_is_confirmed() {
        let mut confirmed = 0;
        for (status, _) in TABLE {
            let suspicious = [Status::Medium, Status::IoErr, Status::Target].contains(&status);
            for request in REQUESTS {
                let waited_for = matches!(
                    request,
                    Request::Read | Request::Write | Request::WriteZeroes
                );
                // A disk that was only guessed to know the command: the block layer writes zeroes
                // instead.
                let is_guess = status == Status::Target && request == Request::WriteZeroes;
                let want = if suspicious && waited_for && !is_guess {
                    Confirm
                } else {
                    Pass
                };
                assert_eq!(verdict(status, request), want, "{status:?} {request:?}");
                confirmed += u32::from(want == Confirm);
            }
        }
        assert_eq!(confirmed, 8);
    }
}
