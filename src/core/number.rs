// SPDX-License-Identifier: GPL-2.0

//! Numbers that people type.

/// Why a word is no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberError {
    /// It holds something other than decimal digits, or nothing.
    NotDecimal,
    /// It does not fit 64 bits.
    TooLarge,
}

/// Reads a decimal number without sign, space or prefix.
pub fn parse(word: &str) -> Result<u64, NumberError> {
    if word.is_empty() || !word.bytes().all(|b| b.is_ascii_digit()) {
        return Err(NumberError::NotDecimal);
    }
    word.parse().map_err(|_| NumberError::TooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn refuses_what_is_not_decimal() {
        for word in ["", "+1", "-1", " 1", "1 ", "0x10", "1e3", "1.0", "１"] {
            assert_eq!(parse(word), Err(NumberError::NotDecimal), "{word:?}");
        }
        assert_eq!(parse("18446744073709551615"), Ok(u64::MAX));
        assert_eq!(parse("18446744073709551616"), Err(NumberError::TooLarge));
        assert_eq!(parse("0099"), Ok(99));
    }

    proptest! {
        #[test]
        fn round_trip(number: u64) {
            prop_assert_eq!(parse(&number.to_string()), Ok(number));
        }

        #[test]
        fn never_panics(word: String) {
            let _ = parse(&word);
        }
    }
}
