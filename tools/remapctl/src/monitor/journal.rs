// SPDX-License-Identifier: GPL-2.0

//! The journal of systemd, in its own protocol: a datagram of lines `FIELD=value`.

use super::event::Event;
use anyhow::{
    Context,
    Result, //
};
use std::os::unix::net::UnixDatagram;

/// Where the journal listens.
const SOCKET: &str = "/run/systemd/journal/socket";
/// The identifier of messages of this kind, for 'journalctl MESSAGE_ID='.
const MESSAGE_ID: &str = "6f2c1d0b7a3e4f58916b4c0d2e8f7a95";

/// The journal, where there is one.
pub(super) struct Journal(UnixDatagram);

impl Journal {
    pub(super) fn open() -> Option<Self> {
        let socket = UnixDatagram::unbound().ok()?;
        socket.connect(SOCKET).ok()?;
        Some(Self(socket))
    }

    /// Writes an event, with a field for each part of it.
    pub(super) fn send(&self, event: &Event) -> Result<()> {
        let sent = self.0.send(entry(event).as_bytes());
        sent.context("writing to the journal").map(drop)
    }
}

/// An entry of the journal. A value of one line stands as it is; ours have no other.
fn entry(event: &Event) -> String {
    let fields = [
        ("MESSAGE", event.message.clone()),
        ("MESSAGE_ID", MESSAGE_ID.into()),
        ("PRIORITY", event.severity.priority().to_string()),
        ("SYSLOG_IDENTIFIER", "remapctl".into()),
        ("REMAP_NAME", event.array.clone()),
        ("REMAP_START", event.start.to_string()),
        ("REMAP_STATE", event.state.into()),
        ("REMAP_CHANGE", event.change.name().into()),
        ("REMAP_SEVERITY", event.severity.name().into()),
        ("REMAP_ACTION", event.action.clone()),
    ];
    let lines = fields.into_iter().map(|(name, value)| {
        let value = value.replace('\n', " ");
        format!("{name}={value}\n")
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::Severity;
    use crate::monitor::event::Change;

    #[test]
    fn no_value_begins_another_field() {
        let event = Event {
            array: "a".into(),
            start: 0,
            state: "lost",
            change: Change::Begins,
            severity: Severity::Critical,
            message: "one\nREMAP_STATE=other".into(),
            action: String::new(),
        };
        let text = entry(&event);
        assert!(
            text.starts_with("MESSAGE=one REMAP_STATE=other\n"),
            "{text}"
        );
        assert!(text.contains("\nPRIORITY=2\n"));
        let states = text.lines().filter(|line| line.starts_with("REMAP_STATE="));
        assert_eq!(states.collect::<Vec<_>>(), ["REMAP_STATE=lost"]);
    }
}
