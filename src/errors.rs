// SPDX-License-Identifier: GPL-2.0

//! What the block layer says of an error, put to the classifier.

use kernel_ext::bio::{
    Op,
    Status, //
};
use remap_core::classify::{
    self,
    verdict,
    Request,
    Verdict, //
};

/// The kernel's statuses and what the classifier calls them.
const STATUSES: [(Status, classify::Status); 19] = [
    (Status::OK, classify::Status::Ok),
    (Status::NOTSUPP, classify::Status::NotSupp),
    (Status::TIMEOUT, classify::Status::Timeout),
    (Status::NOSPC, classify::Status::NoSpc),
    (Status::TRANSPORT, classify::Status::Transport),
    (Status::TARGET, classify::Status::Target),
    (Status::RESV_CONFLICT, classify::Status::ResvConflict),
    (Status::MEDIUM, classify::Status::Medium),
    (Status::PROTECTION, classify::Status::Protection),
    (Status::RESOURCE, classify::Status::Resource),
    (Status::IOERR, classify::Status::IoErr),
    (Status::DM_REQUEUE, classify::Status::DmRequeue),
    (Status::AGAIN, classify::Status::Again),
    (Status::DEV_RESOURCE, classify::Status::DevResource),
    (
        Status::ZONE_OPEN_RESOURCE,
        classify::Status::ZoneOpenResource,
    ),
    (
        Status::ZONE_ACTIVE_RESOURCE,
        classify::Status::ZoneActiveResource,
    ),
    (Status::OFFLINE, classify::Status::Offline),
    (Status::DURATION_LIMIT, classify::Status::DurationLimit),
    (Status::INVAL, classify::Status::Inval),
];

/// What the classifier calls a request; for one that it does not know, a request whose errors say
/// nothing.
pub(crate) fn request(op: Op, is_readahead: bool) -> Request {
    match op {
        Op::Read if is_readahead => Request::ReadAhead,
        Op::Read => Request::Read,
        Op::Write => Request::Write,
        Op::WriteZeroes => Request::WriteZeroes,
        Op::Discard => Request::Discard,
        Op::Flush | Op::Other => Request::Flush,
    }
}

/// What the classifier calls a status.
pub(crate) fn classified(status: Status) -> classify::Status {
    let known = STATUSES.iter().find(|(theirs, _)| *theirs == status);
    known.map_or(classify::Status::Unknown, |(_, ours)| *ours)
}

/// The status that the classifier calls so; an error that says nothing for one that is not known.
pub(crate) fn of_kernel(status: classify::Status) -> Status {
    let known = STATUSES.iter().find(|(_, ours)| *ours == status);
    known.map_or(Status::IOERR, |(theirs, _)| *theirs)
}

/// Whether a request that ended with `status` may have met a bad sector.
pub(crate) fn may_be_bad_sector(status: Status, request: Request) -> bool {
    verdict(classified(status), request) == Verdict::Confirm
}

/// The same for I/O of our own, which reads or writes and is waited for.
pub(crate) fn bad_sector(status: Status) -> bool {
    may_be_bad_sector(status, Request::Write)
}
