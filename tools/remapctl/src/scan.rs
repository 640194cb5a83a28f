// SPDX-License-Identifier: GPL-2.0

//! The scan of an active array: how it is, how far it is, and what it is to do.

use crate::cli;
use crate::say::Say;
use anyhow::{
    Context,
    Result, //
};
use remap_active::mapper::Mapper;
use serde_json::{
    json,
    Map,
    Value, //
};
use std::process::ExitCode;
use std::time::Duration;

/// How often progress is shown.
const PAUSE: Duration = Duration::from_millis(500);

/// What the target answers to `scan`.
#[derive(Debug, PartialEq)]
struct Answer(Map<String, Value>);

impl Answer {
    /// Reads the lines of an answer: a name and its value, or several of them.
    fn parse(text: &str) -> Option<Self> {
        let (mut map, mut regions, mut before) = (Map::new(), Vec::new(), Vec::new());
        for line in text.lines() {
            let words: Vec<_> = line.split(' ').collect();
            match words[..] {
                ["position", value] => pair(&mut map, ["position", "units"], value)?,
                ["rate", value] => pair(&mut map, ["rate", "most_rate"], value)?,
                ["region", sector, score] => {
                    regions.push(json!({ "sector": number(sector)?, "score": number(score)? }));
                }
                ["reads_by_milliseconds", ..] => {
                    let counts = words[1..].iter().map(|word| number(word));
                    map.insert(words[0].into(), counts.collect::<Option<Vec<_>>>()?.into());
                }
                ["before", ..] => before.push(Value::from(named(&words[1..])?)),
                _ => map.extend(named(&words)?),
            }
        }
        map.insert("regions".into(), regions.into());
        map.insert("before".into(), before.into());
        Some(Self(map))
    }

    fn number(&self, name: &str) -> u64 {
        self.0.get(name).and_then(Value::as_u64).unwrap_or(0)
    }

    fn text(&self, name: &str) -> &str {
        self.0.get(name).and_then(Value::as_str).unwrap_or("")
    }

    /// Whether a pass is under way, or has just ended and the thread with it has not.
    fn is_running(&self) -> bool {
        matches!(self.text("state"), "running" | "stopping")
    }

    /// As a line for people.
    fn line(&self) -> String {
        let of = |name| self.number(name);
        let read = match self.0.contains_key("took") {
            true => "all".to_string(),
            false => format!("{} of", of("position")),
        };
        let mut line = format!(
            "{}, pass {}, {read} {} units read, {} KiB a second, at most {}",
            self.text("state"),
            of("pass"),
            of("units"),
            of("rate"),
            of("most_rate")
        );
        if self.0.contains_key("error") {
            line += &format!(", error {}", self.0["error"]);
        }
        if self.0.contains_key("took") {
            line += &format!(", took {} s", of("took"));
        }
        if self.0.contains_key("left") {
            line += &format!(", {} s left", of("left"));
        }
        if self.0.contains_key("late") {
            line += ", late";
        }
        if self.0.contains_key("found") {
            line += &format!(
                ", found {} units that cannot be read and {} weak ones, moved {}",
                of("found"),
                of("weak"),
                of("moved")
            );
        }
        for region in self.0["regions"].as_array().into_iter().flatten() {
            line += &format!("\n  trouble near sector {}", region["sector"]);
        }
        line
    }
}

fn number(word: &str) -> Option<Value> {
    word.parse::<i64>().ok().map(Value::from)
}

/// Two numbers with a slash in between.
fn pair(map: &mut Map<String, Value>, names: [&str; 2], value: &str) -> Option<()> {
    let (first, second) = value.split_once('/')?;
    for (name, word) in names.into_iter().zip([first, second]) {
        map.insert(name.into(), number(word)?);
    }
    Some(())
}

/// Names with their values in turn; the last may have none.
fn named(words: &[&str]) -> Option<Map<String, Value>> {
    let entry = |pair: &[&str]| match *pair {
        [name, value] => Some((name.into(), number(value).unwrap_or(value.into()))),
        [name] if !name.is_empty() => Some((name.into(), true.into())),
        _ => None,
    };
    words.chunks(2).map(entry).collect()
}

fn ask(mapper: &Mapper, device: &str, sector: u64) -> Result<Answer> {
    let text = mapper.message(device, sector, "scan")?;
    Answer::parse(&text).with_context(|| format!("the target answers '{text}'"))
}

/// Shows how far a pass is until it ends or waits.
fn follow(say: &Say, mapper: &Mapper, device: &str, sector: u64) -> Result<Answer> {
    loop {
        let now = ask(mapper, device, sector)?;
        let (position, units) = (now.number("position"), now.number("units"));
        if !now.is_running() {
            say.progress("scanning", units, units);
            return Ok(now);
        }
        // The end is when it says so.
        say.progress("scanning", position.min(units.saturating_sub(1)), units);
        std::thread::sleep(PAUSE);
    }
}

/// `remapctl scan`
pub fn scan(say: &Say, args: &cli::Scan) -> Result<ExitCode> {
    let mapper = Mapper::new()?;
    for target in mapper.targets(&args.name)? {
        if let Some(rate) = args.rate {
            mapper.message(&args.name, target.start, &format!("scan rate {rate}"))?;
        }
        if let Some(order) = args.order {
            mapper.message(&args.name, target.start, &format!("scan {order}"))?;
        }
        let answer = match args.follow {
            true => follow(say, &mapper, &args.name, target.start)?,
            false => ask(&mapper, &args.name, target.start)?,
        };
        let value = json!({ "name": args.name, "start": target.start, "scan": answer.0 });
        say.both(&value, format_args!("{}: {}", args.name, answer.line()));
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read() {
        let text =
            "state running\npass 3\nposition 10/4096\nrate 64/4096\ninterval 0\nproactive on\n\
                    found 1 weak 2 moved 1\nseconds 4 left 90 late\nreads_by_milliseconds 7 0 1\n\
                    regions_with_trouble 1\nregion 32768 4\nbefore found 0 weak 1 moved 0\n";
        let answer = Answer::parse(text).unwrap();
        assert!(answer.is_running());
        assert!(Answer::parse("state stopping").unwrap().is_running());
        assert!(!Answer::parse("state stopped").unwrap().is_running());
        assert_eq!(
            answer.line(),
            "running, pass 3, 10 of 4096 units read, 64 KiB a second, at most 4096, 90 s left, late, \
             found 1 units that cannot be read and 2 weak ones, moved 1\n  trouble near sector 32768"
        );
        assert_eq!(answer.0["reads_by_milliseconds"], json!([7, 0, 1]));
        assert_eq!(
            answer.0["before"],
            json!([{ "found": 0, "weak": 1, "moved": 0 }])
        );
        assert_eq!(
            answer.0["regions"],
            json!([{ "sector": 32768, "score": 4 }])
        );
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        for text in [
            "position 5\n",
            "rate x/y\n",
            "region 5 x\n",
            "\n",
            "reads_by_milliseconds x\n",
        ] {
            assert_eq!(Answer::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_thread_that_failed_is_told() {
        let answer =
            Answer::parse("state failed\nerror -12\npass 0\nposition 0/8\nrate 0/4096\n").unwrap();
        assert!(
            answer.line().ends_with(", at most 4096, error -12"),
            "{}",
            answer.line()
        );
    }
}
