// SPDX-License-Identifier: GPL-2.0

//! What smartctl(8) prints of places that a disk itself found to be bad. All are addresses of
//! logical blocks on the whole disk.

use anyhow::{
    bail,
    Context,
    Result, //
};

/// What the sense key of a background scan's finding is where the medium failed.
const MEDIUM_ERROR: &str = "3";

/// A number as smartctl writes it: `123`, or `0x7b`.
fn number(word: &str) -> Option<u64> {
    match word.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => word.parse().ok(),
    }
}

/// The lines behind the header of a table, with their numbers, up to the first that is no row.
fn rows(
    text: &str,
    is_header: impl Fn(&str) -> bool,
    is_row: impl Fn(&str) -> bool,
) -> Option<impl Iterator<Item = (usize, &str)>> {
    let mut lines = text.lines().enumerate();
    lines.find(|(_, line)| is_header(line))?;
    Some(
        lines
            .map(|(at, line)| (at + 1, line.trim()))
            .skip_while(move |(_, line)| !is_row(line) && line.starts_with("Description"))
            .take_while(|(_, line)| !line.is_empty()),
    )
}

fn begins_with_number(line: &str) -> bool {
    line.starts_with(|c: char| c.is_ascii_digit())
}

/// The pending defects of `smartctl -l defects`, of an ATA or a SCSI disk.
pub fn defects(text: &str) -> Result<Vec<u64>> {
    let is_ata = |line: &str| {
        let words: Vec<_> = line.split_whitespace().collect();
        words == ["Index", "LBA", "Hours"]
    };
    let is_scsi = |line: &str| line.contains("Pending Defects: index, LBA");
    let found = rows(
        text,
        |line| is_ata(line) || is_scsi(line),
        begins_with_number,
    );
    let Some(found) = found else {
        let is_none = ["No Defects Logged", "Pending defect count:0"];
        return match is_none.iter().any(|none| text.contains(none)) {
            true => Ok(Vec::new()),
            false => bail!("no list of pending defects, as 'smartctl -l defects' prints it"),
        };
    };
    found
        .take_while(|(_, line)| begins_with_number(line))
        .map(|(at, line)| {
            // `0  11454997800  -`, or `1:  0xefaf7808 ,  5554`.
            let word = line.split_whitespace().nth(1);
            let lba = word.and_then(|word| number(word.trim_end_matches(',')));
            lba.with_context(|| format!("line {at}: '{line}' has no address"))
        })
        .collect()
}

/// What the background scan of `smartctl -l background` could not read and did not mend.
pub fn background(text: &str) -> Result<Vec<u64>> {
    let is_header = |line: &str| line.contains("lba(hex)");
    let Some(found) = rows(text, is_header, begins_with_number) else {
        return match text.contains("Background scan results log") {
            true => Ok(Vec::new()),
            false => bail!("no results of a background scan, as 'smartctl -l background' prints"),
        };
    };
    let mut all = Vec::new();
    for (at, line) in found.take_while(|(_, line)| begins_with_number(line)) {
        // `20 5554:16  00000000efaf7808  [3,11,0]   Require Write or Reassign Blocks command`
        let finding = || {
            let rest = line.split_once(':')?.1;
            let mut words = rest.split_whitespace().skip(1);
            let lba = u64::from_str_radix(words.next()?, 16).ok()?;
            let sense = words.next()?.strip_prefix('[')?;
            Some((
                lba,
                sense.split(',').next()?,
                words.collect::<Vec<_>>().join(" "),
            ))
        };
        let finding = finding().with_context(|| format!("line {at}: '{line}' is no finding"));
        let (lba, key, status) = finding?;
        if key == MEDIUM_ERROR && !status.starts_with("Successfully") {
            all.push(lba);
        }
    }
    Ok(all)
}

/// The first errors of the self-tests of `smartctl -l selftest`, of an ATA or a SCSI disk.
pub fn selftest(text: &str) -> Result<Vec<u64>> {
    let is_header = |line: &str| {
        line.starts_with("Num")
            && (line.contains("LBA_of_first_error") || line.contains("LBA_first_err"))
    };
    let Some(found) = rows(text, is_header, |line| line.starts_with('#')) else {
        return match text.contains("No self-tests have been logged") {
            true => Ok(Vec::new()),
            false => bail!("no log of self-tests, as 'smartctl -l selftest' prints it"),
        };
    };
    let mut all = Vec::new();
    for (at, line) in found.take_while(|(_, line)| line.starts_with('#')) {
        // The address is the last word of an ATA disk, and before `[0x3 0x11 0x0]` of a SCSI disk.
        let before = line.rsplit_once('[').map_or(line, |(before, _)| before);
        let word = before.split_whitespace().last().unwrap_or_default();
        if word == "-" {
            continue;
        }
        let lba = number(word);
        all.push(lba.with_context(|| format!("line {at}: '{word}' is no address"))?);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ATA: &str = "smartctl 7.4\n\nPending Defects log (GP Log 0x0c)\n\
                       Index                LBA    Hours\n    0        11454997800        -\n\
                       \x20   1        11454997801     5554\n\nSATA Phy Event Counters\n1 2 3\n";
    const SCSI: &str =
        "  Pending defect count:2 Pending Defects: index, LBA and accumulated_power_on_hours follow\n\
         \x20    1:  0xefaf7808        ,   5554\n     2:  0xefaf7809        ,   5554\n";
    const SCAN: &str = "Background scan results log\n  Status: no scans active\n\n   \
        #  when        lba(hex)    [sk,asc,ascq]    reassign_status\n   \
        1 4650:30  00000000eed2ee30  [1,17,1]   Recovered via rewrite in-place\n  \
        20 5554:16  00000000efaf7808  [3,11,0]   Require Write or Reassign Blocks command\n  \
        21 5555:16  00000000efaf7809  [3,11,0]   Successfully reassigned\n";
    const TESTS: &str =
        "SMART Self-test log structure revision number 1\nNum  Test_Description    \
        Status                  Remaining  LifeTime(hours)  LBA_of_first_error\n\
        # 1  Extended offline    Completed: read failure       90%     20594         1406744400\n\
        # 2  Short offline       Completed without error       00%     19223         -\n\
        #21  Short offline       Completed: read failure       90%     19223         0x1234\n\n";
    const SCSI_TESTS: &str = "SMART Self-test log\nNum  Test              Status                 \
        segment  LifeTime  LBA_first_err [SK ASC ASQ]\n     Description                              \
        number   (hours)\n# 1  Background long   Failed in segment -->       3   45210             \
        123456 [0x3 0x11 0x0]\n# 2  Background short  Completed                  96       2                 \
        - [-   -    -]\n\n";

    #[test]
    fn what_smartctl_prints_is_read() {
        assert_eq!(defects(ATA).unwrap(), [11_454_997_800, 11_454_997_801]);
        assert_eq!(defects(SCSI).unwrap(), [0xefaf_7808, 0xefaf_7809]);
        assert_eq!(background(SCAN).unwrap(), [0xefaf_7808]);
        assert_eq!(selftest(TESTS).unwrap(), [1_406_744_400, 0x1234]);
        assert_eq!(selftest(SCSI_TESTS).unwrap(), [123_456]);
    }

    #[test]
    fn an_empty_list_is_not_a_missing_one() {
        let none = "Pending Defects log (GP Log 0x0c)\nNo Defects Logged\n";
        assert!(defects(none).unwrap().is_empty());
        assert!(background("Background scan results log\n")
            .unwrap()
            .is_empty());
        assert!(selftest("No self-tests have been logged.\n")
            .unwrap()
            .is_empty());
        for read in [defects, background, selftest] {
            assert!(read("").is_err());
            assert!(read("Pending Defects log (GP Log 0x0c) not supported\n").is_err());
        }
    }

    #[test]
    fn a_row_that_is_none_is_named() {
        for (read, text, want) in [
            (
                defects as fn(&str) -> Result<Vec<u64>>,
                ATA.replace("11454997801", "x"),
                "line 6: '1        x     5554' has no address",
            ),
            (
                background,
                SCAN.replace("00000000efaf7808", "-"),
                "line 6: '20 5554:16",
            ),
            (
                selftest,
                TESTS.replace("0x1234", "?"),
                "line 5: '?' is no address",
            ),
        ] {
            let error = read(&text).unwrap_err().to_string();
            assert!(error.starts_with(want), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(
            text in "(\\PC|\n){0,200}", which in 0usize..4, at in any::<prop::sample::Index>(),
        ) {
            let known = [ATA, SCSI, SCAN, TESTS][which];
            let mut at = at.index(known.len());
            while !known.is_char_boundary(at) {
                at -= 1;
            }
            let mixed = format!("{}{text}{}", &known[..at], &known[at..]);
            for read in [defects, background, selftest] {
                let _ = read(&mixed);
            }
        }
    }
}
