// SPDX-License-Identifier: GPL-2.0

//! Mail, where there is a program that takes it as sendmail(8) does.

use super::event::Event;
use anyhow::{
    bail,
    Context,
    Result, //
};
use std::io::Write;
use std::path::Path;
use std::process::{
    Command,
    Stdio, //
};

/// The text of a mail, its head included.
fn text(to: &str, host: &str, event: &Event) -> String {
    let line = |text: &str| text.replace(['\r', '\n'], " ");
    let subject = format!(
        "{}: array {} on {host}: {} {}",
        event.severity.name(),
        event.array,
        event.state,
        event.change.name()
    );
    format!(
        "To: {}\nSubject: {}\nAuto-Submitted: auto-generated\n\
         Content-Type: text/plain; charset=utf-8\n\n{}\n\nWhat to do: {}\n\n\
         'remapctl status' shows how it is now.\n",
        line(to),
        line(&subject),
        event.message,
        event.action
    )
}

/// Hands a mail on, if there is a program for that.
pub(super) fn send(program: &Path, to: &str, event: &Event) -> Result<()> {
    if !program.exists() {
        return Ok(());
    }
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let named = || program.display().to_string();
    let mut child = Command::new(program)
        .args(["-t", "-oi"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .with_context(named)?;
    if let Some(mut to_program) = child.stdin.take() {
        let text = text(to, host.trim(), event);
        to_program.write_all(text.as_bytes()).with_context(named)?;
    }
    let status = child.wait().with_context(named)?;
    match status.success() {
        true => Ok(()),
        false => bail!("{}: {status}", program.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::Severity;
    use crate::monitor::event::Change;

    #[test]
    fn no_address_begins_another_head() {
        let event = Event {
            array: "safe".into(),
            start: 0,
            state: "lost",
            change: Change::Grows,
            severity: Severity::Critical,
            message: "2 blocks are lost".into(),
            action: "restore".into(),
        };
        let mail = text("root\nBcc: all", "host", &event);
        let (head, body) = mail.split_once("\n\n").unwrap();
        assert!(head
            .starts_with("To: root Bcc: all\nSubject: critical: array safe on host: lost grows\n"));
        assert!(!head.contains("\nBcc"));
        assert!(body.starts_with("2 blocks are lost\n\nWhat to do: restore\n"));
    }
}
