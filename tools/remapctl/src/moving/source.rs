// SPDX-License-Identifier: GPL-2.0

//! The data of an array as a table of other targets, to be copied.

use crate::array::Found;
use crate::export;
use remap_active::table::Line;
use std::ops::Range;
use std::path::Path;

/// The data of an array, as a table; what is lost is zeroes.
pub fn source(found: &Found, main: &Path, spare: &Path) -> Vec<Line> {
    let [main, spare] = [main, spare].map(|path| path.display().to_string());
    let mut table = export::table(found, &main, Some(&spare));
    for line in table.iter_mut().filter(|line| line.kind == "error") {
        line.kind = "zero".into();
    }
    table
}

/// The same table with zeroes in these ranges, which are in order.
pub fn with_zeroes(table: Vec<Line>, ranges: &[Range<u64>]) -> Vec<Line> {
    let mut all = Vec::new();
    for line in table {
        let end = line.start + line.sectors;
        let mut at = line.start;
        for range in ranges {
            let (from, to) = (range.start.max(at), range.end.min(end));
            if from < to {
                all.extend(part(&line, at..from));
                all.extend(part(&line, from..to).map(|part| Line {
                    kind: "zero".into(),
                    words: String::new(),
                    ..part
                }));
                at = to;
            }
        }
        all.extend(part(&line, at..end));
    }
    all
}

/// A part of a line of dm-linear or dm-zero; `None` if it is empty.
fn part(line: &Line, sectors: Range<u64>) -> Option<Line> {
    let moved = line.words.rsplit_once(' ').and_then(|(device, at)| {
        let at: u64 = at.parse().ok()?;
        Some(format!("{device} {}", at + sectors.start - line.start))
    });
    (!sectors.is_empty()).then(|| Line {
        start: sectors.start,
        sectors: sectors.end - sectors.start,
        kind: line.kind.clone(),
        words: moved.unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeroes_are_laid_over_a_table() {
        let table = remap_active::table::parse(
            "0 100 linear /dev/main 5\n100 8 zero \n108 92 linear /dev/main 113",
        );
        let ranges = [0..8, 50..60, 96..112, 190..200];
        let text: Vec<_> = with_zeroes(table.unwrap(), &ranges)
            .iter()
            .map(|line| line.to_string().trim_end().to_string())
            .collect();
        assert_eq!(
            text,
            [
                "0 8 zero",
                "8 42 linear /dev/main 13",
                "50 10 zero",
                "60 36 linear /dev/main 65",
                "96 4 zero",
                "100 8 zero",
                "108 4 zero",
                "112 78 linear /dev/main 117",
                "190 10 zero",
            ]
        );
    }
}
