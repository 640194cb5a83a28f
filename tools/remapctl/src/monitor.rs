// SPDX-License-Identifier: GPL-2.0

//! `remapctl monitor`: each change of an array is told to the journal, to programs, and by mail.

mod event;
mod hooks;
mod journal;
mod keeper;
mod mail;

use crate::cli;
use crate::findings::{
    Finding,
    Severity, //
};
use crate::say::Say;
use crate::status::{
    Instead,
    Shown,
    COPY_FAILS,
    REPAIR_COPY, //
};
use anyhow::Result;
use event::{
    Change,
    Event, //
};
use journal::Journal;
use keeper::Keeper;
use remap_active::mapper::Mapper;
use serde_json::json;
use std::collections::BTreeMap;
use std::process::ExitCode;

/// The state of an array whose spare is not there.
const NO_SPARE: Finding = Finding {
    state: "no-spare",
    severity: Severity::Critical,
    message: String::new(),
    action: "plug the spare in; then 'remapctl remove NAME' and 'remapctl activate NAME'",
    amount: 1,
};

/// The state of an array whose copy to another disk fails.
const COPY_FAILED: Finding = Finding {
    state: "copy-failed",
    severity: Severity::Critical,
    message: String::new(),
    action: REPAIR_COPY,
    amount: 1,
};

/// What is the matter with all arrays, by array, target and state.
type Seen = BTreeMap<(String, u64, &'static str), Finding>;

/// What is the matter now.
fn seen(all: &[Shown]) -> Seen {
    let mut seen = Seen::new();
    for shown in all {
        let name = || shown.name.clone();
        if shown.is_without_spare() {
            let message = "the spare is not there, and what was relocated cannot be read".into();
            let finding = Finding {
                message,
                ..NO_SPARE
            };
            seen.insert((name(), 0, finding.state), finding);
        }
        if shown.instead == Some(Instead::Broken) {
            let finding = Finding {
                message: COPY_FAILS.into(),
                ..COPY_FAILED
            };
            seen.insert((name(), 0, finding.state), finding);
        }
        for target in &shown.targets {
            for finding in &target.findings {
                let key = (name(), target.line.start, finding.state);
                seen.insert(key, finding.clone());
            }
        }
    }
    seen
}

/// What has changed. Of an array that is not active any more nothing is told.
fn changes(before: &Seen, now: &Seen, active: impl Fn(&str) -> bool) -> Vec<Event> {
    let mut events = Vec::new();
    for ((array, start, state), finding) in now {
        let change = match before.get(&(array.clone(), *start, *state)) {
            None => Change::Begins,
            Some(old) if finding.amount > old.amount => Change::Grows,
            Some(_) => continue,
        };
        events.push(Event::of(array, *start, change, finding));
    }
    for (key, finding) in before {
        let (array, start, _) = key;
        if !now.contains_key(key) && active(array) {
            events.push(Event::of(array, *start, Change::Ends, finding));
        }
    }
    events.sort_by_key(|event| std::cmp::Reverse(event.severity));
    events
}

/// Whom events are told to.
struct Listeners<'a> {
    say: &'a Say,
    args: &'a cli::Monitor,
    journal: Option<Journal>,
}

impl Listeners<'_> {
    /// Tells one event to all. What fails is said, and keeps no other from hearing of it.
    fn tell(&self, event: &Event) {
        match &self.journal {
            Some(journal) => {
                if let Err(error) = journal.send(event) {
                    self.say.error(&error);
                }
            }
            None => self.say.both(
                &json!(event),
                format_args!(
                    "{}: {} {}: {}",
                    event.severity.name(),
                    event.state,
                    event.change.name(),
                    event.message
                ),
            ),
        }
        for error in hooks::run(&self.args.hooks, event) {
            self.say.error(&error);
        }
        let is_mailed = !self.args.no_mail && event.severity >= Severity::Warning;
        if is_mailed {
            if let Err(error) = mail::send(&self.args.sendmail, &self.args.mail, event) {
                self.say.error(&error);
            }
        }
    }
}

/// `remapctl monitor`
pub fn monitor(say: &Say, args: &cli::Monitor) -> Result<ExitCode> {
    let mapper = Mapper::new()?;
    let listeners = Listeners {
        say,
        args,
        journal: Journal::open(),
    };
    let keeper = (!args.no_backup).then(|| Keeper::start(*say, args.clone()));
    let mut before = Seen::new();
    loop {
        // Armed before it is asked, so that no event is missed in between.
        mapper.arm_poll()?;
        let all = Shown::all(&mapper)?;
        let now = seen(&all);
        let active = |name: &str| all.iter().any(|shown| shown.name == name);
        for event in changes(&before, &now, active) {
            listeners.tell(&event);
        }
        before = now;
        if let Some(keeper) = &keeper {
            keeper.look();
        }
        if args.once {
            if let Some(keeper) = keeper {
                keeper.end();
            }
            return Ok(ExitCode::SUCCESS);
        }
        mapper.wait(None)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::findings;
    use crate::status::Target;
    use remap_active::table::Line;

    fn shown(name: &str, line: &str) -> Shown {
        let status = line.parse().unwrap();
        Shown {
            name: name.into(),
            targets: vec![Target {
                findings: findings(&status),
                status,
                line: Line {
                    start: 0,
                    sectors: 8,
                    kind: "remap".into(),
                    words: String::new(),
                },
            }],
            instead: None,
        }
    }

    const WELL: &str = "healthy 0/1000 0 0 0 0 0 rw 2/2 closed 31/0/1 ok stopped 0/16384";

    /// What is told of each step, as `array state change`.
    fn told(steps: &[&[(&str, String)]]) -> Vec<Vec<String>> {
        let mut before = Seen::new();
        let mut all = Vec::new();
        for step in steps {
            let arrays: Vec<_> = step.iter().map(|(name, line)| shown(name, line)).collect();
            let now = seen(&arrays);
            let active = |name: &str| step.iter().any(|(known, _)| *known == name);
            let events = changes(&before, &now, active);
            let words =
                |event: &Event| format!("{} {} {}", event.array, event.state, event.change.name());
            all.push(events.iter().map(words).collect());
            before = now;
        }
        all
    }

    #[test]
    fn each_change_is_told_once() {
        let one = WELL.replace("0/1000 0", "1/1000 0");
        let more = one.replace("1/1000 0 0 0", "2/1000 0 0 3");
        let less = more.replace("0 0 3", "0 0 2");
        let steps: &[&[(&str, String)]] = &[
            &[("a", WELL.into()), ("b", one.clone())],
            &[("a", WELL.into()), ("b", one.clone())],
            &[("a", one.clone()), ("b", more.clone())],
            // Less of it is nothing new.
            &[("a", one.clone()), ("b", less)],
            &[("a", WELL.into()), ("b", one.clone())],
            // What goes with its array does not end by that.
            &[("a", WELL.into())],
            &[("a", WELL.into()), ("b", one)],
        ];
        let want: &[&[&str]] = &[
            &["b relocated begins"],
            &[],
            &["b lost begins", "a relocated begins", "b relocated grows"],
            &[],
            &["a relocated ends", "b lost ends"],
            &[],
            &["b relocated begins"],
        ];
        assert_eq!(told(steps), want);
    }

    #[test]
    fn the_end_of_a_state_is_no_alarm() {
        let bad = shown("a", &WELL.replace("2/2 closed", "2/2 open"));
        let (before, now) = (seen(&[bad]), Seen::new());
        let events = changes(&before, &now, |_| true);
        assert_eq!(events[0].severity, Severity::Notice);
        assert!(events[0]
            .message
            .starts_with("array a: no longer: the breaker"));
        assert_eq!(events[0].action, "");
    }
}
