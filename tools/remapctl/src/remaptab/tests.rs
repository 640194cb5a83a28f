// SPDX-License-Identifier: GPL-2.0

use super::*;
use proptest::prelude::*;

const UUID: &str = "01234567-89ab-4def-8123-456789abcdef";

fn option<T: Clone + fmt::Debug>(
    value: impl Strategy<Value = T>,
) -> impl Strategy<Value = Option<T>> {
    prop::option::of(value)
}

fn identity() -> impl Strategy<Value = Identity> {
    let word = || "[A-Za-z0-9_.:+-]{1,12}";
    (word(), option(word()), option(word()), option(any::<u64>())).prop_map(
        |(wwid, serial, partuuid, sectors)| Identity {
            wwid: Some(wwid),
            serial,
            dm_uuid: None,
            partuuid,
            sectors,
        },
    )
}

fn features() -> impl Strategy<Value = Features> {
    let breaker = (0u64..1000, 1u64..1000).prop_filter_map("a limit", |(a, b)| Limit::new(a, b));
    let policy = prop::sample::select(vec![Policy::Main, Policy::Spare]);
    let numbers = (
        1u64..=86_400,
        1u64..=31_536_000,
        1..=MOST_RATE,
        0..=Budget::MOST,
    );
    (
        option(breaker),
        option(policy),
        option(numbers),
        any::<bool>(),
    )
        .prop_map(|(breaker, policy, numbers, proactive)| Features {
            unit: None,
            breaker,
            breaker_day: numbers.map(|all| all.3),
            policy,
            patience: numbers.map(|all| all.0),
            scan_interval: numbers.map(|all| all.1),
            scan_rate: numbers.map(|all| all.2),
            proactive: (!proactive).then_some(false),
        })
}

fn entry() -> impl Strategy<Value = Entry> {
    let main = prop_oneof![
        identity().prop_map(Main::Identity),
        "/dev/[a-z0-9/]{1,20}".prop_map(|path| Main::Path(path.into())),
    ];
    let places = (any::<u64>(), any::<u64>(), option(any::<u64>()));
    let missing = prop::sample::select(vec![MissingSpare::Refuse, MissingSpare::ReadOnly]);
    let to = (identity(), option(identity()), 1u128..).prop_map(|(disk, state, id)| To {
        disk: Main::Identity(disk),
        state: state.map(Main::Identity),
        id: Uuid(id.to_be_bytes()),
    });
    let rest = (
        missing,
        any::<bool>(),
        features(),
        option(to),
        any::<bool>(),
    );
    (
        "[A-Za-z0-9_][A-Za-z0-9:_.-]{0,20}",
        main,
        1u128..,
        places,
        rest,
    )
        .prop_map(
            |(name, main, array, places, (missing_spare, auto, features, to, is_moved))| Entry {
                name,
                main,
                array: Uuid(array.to_be_bytes()),
                main_start: places.0,
                spare_start: places.1,
                spare_len: places.2,
                missing_spare,
                auto,
                features,
                to,
                is_moved,
            },
        )
}

proptest! {
    #[test]
    fn written_and_read(entry in entry().prop_filter("a name", |entry| entry.name != "control")) {
        let line = entry.to_string();
        prop_assert_eq!(line.parse::<Entry>().unwrap(), entry, "{}", line);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "(\\PC|[\n\t ]){0,200}") {
        if let Ok(table) = text.parse::<Remaptab>() {
            // What was taken is taken again.
            let again: Remaptab = table.to_string().parse().unwrap();
            prop_assert_eq!(again, table);
        }
    }

    #[test]
    fn a_damaged_line_is_the_same_or_refused(
        entry in entry(), at in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let mut bytes = entry.to_string().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        // It is one array at most, and never a panic.
        if let Ok(table) = String::from_utf8_lossy(&bytes).parse::<Remaptab>() {
            prop_assert!(table.entries().count() <= 2);
        }
    }
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    let good = format!("safe WWID=naa.5,SECTORS=8 {UUID}");
    for (line, want) in [
        (
            "safe".into(),
            "line 2: want '<name> <main> <array> [<options>]'",
        ),
        (
            format!("{good} - -"),
            "line 2: want '<name> <main> <array> [<options>]'",
        ),
        (
            good.replace("safe", "-x"),
            "line 2: '-x' is no name for an array",
        ),
        (
            good.replace("safe", "a/b"),
            "line 2: 'a/b' is no name for an array",
        ),
        (
            good.replace("safe", "control"),
            "line 2: 'control' is no name",
        ),
        (
            good.replace("WWID", "ID"),
            "line 2: 'ID': want WWID, SERIAL",
        ),
        (good.replace("0123", "012x"), "is no UUID of an array"),
        (
            format!("{good} fast"),
            "line 2: option 'fast': there is no such option",
        ),
        (
            format!("{good} noauto=1"),
            "line 2: option 'noauto=1': there is no such option",
        ),
        (
            format!("{good} noauto,noauto"),
            "line 2: option 'noauto' twice",
        ),
        (format!("{good} spare-len=-1"), "'-1' is no number up to"),
        (format!("{good} spare-len=+1"), "'+1' is no number up to"),
        (format!("{good} scan-rate=0"), "0 is no number from 1 to"),
        (
            format!("{good} scan-rate=99999999999"),
            "is no number up to",
        ),
        (format!("{good} breaker=32,10"), "want UNITS/SECONDS"),
        (
            format!("{good} missing-spare=rw"),
            "'rw': want refuse or read-only",
        ),
        (format!("{good} policy=x"), "'x': want main or spare"),
        (
            format!("{good} noauto,"),
            "option '': there is no such option",
        ),
        (
            format!("{good}\n{good}"),
            "line 3: there is an array 'safe' already",
        ),
        (
            format!("{good}\n{}", good.replace("safe", "b")),
            "line 3: array 01234567",
        ),
    ] {
        let error = format!("# arrays\n{line}\n")
            .parse::<Remaptab>()
            .unwrap_err();
        let error = format!("{error:#}");
        assert!(error.contains(want), "{line}: {error}");
    }
}

#[test]
fn comments_stay_where_they_are() {
    let text = format!("# first\n\nsafe WWID=naa.5 {UUID} missing-spare=refuse\n  # last\n");
    let mut table: Remaptab = text.parse().unwrap();
    assert_eq!(table.to_string(), text);
    assert_eq!(
        table.named("safe").unwrap().missing_spare,
        MissingSpare::Refuse
    );
    let array = table.named("safe").unwrap().array;
    assert!(table.remove(&array) && !table.remove(&array));
    assert_eq!(table.to_string(), "# first\n\n  # last\n");
}

#[test]
fn the_file_is_replaced_as_a_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("remaptab");
    assert_eq!(Remaptab::read(&path).unwrap(), Remaptab::default());
    let mut table = Remaptab::default();
    let main = Main::Path("/dev/disk/by-id/x".into());
    let array = Uuid::parse(UUID).unwrap();
    table.add(Entry::new("safe", main.clone(), array)).unwrap();
    table.write(&path).unwrap();
    assert_eq!(Remaptab::read(&path).unwrap(), table);
    assert!(table.add(Entry::new("safe", main, array)).is_err());
    assert_eq!(folder.path().read_dir().unwrap().count(), 1);
    fs::write(&path, "safe\n").unwrap();
    let error = format!("{:#}", Remaptab::read(&path).unwrap_err());
    assert!(error.contains("remaptab: line 1: want"), "{error}");
}
