// SPDX-License-Identifier: GPL-2.0

//! The names of arrays and devices.

use core::fmt;

/// A universally unique identifier (RFC 9562); all zero where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Uuid(pub [u8; 16]);

impl Uuid {
    /// None.
    pub const NIL: Self = Self([0; 16]);

    /// A random UUID (version 4) from 16 random bytes.
    pub const fn from_random(mut bytes: [u8; 16]) -> Self {
        let [_, _, _, _, _, _, version, _, variant, ..] = &mut bytes;
        *version = (*version & 0x0f) | 0x40;
        *variant = (*variant & 0x3f) | 0x80;
        Self(bytes)
    }

    /// Reads the usual form, 32 hexadecimal digits in five groups.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0u8; 16];
        let mut digits = 0usize;
        for (at, c) in text.bytes().enumerate() {
            if matches!(at, 8 | 13 | 18 | 23) {
                if c != b'-' {
                    return None;
                }
                continue;
            }
            let digit = char::from(c).to_digit(16)? as u8;
            let byte = bytes.get_mut(digits / 2)?;
            *byte = (*byte << 4) | digit;
            digits += 1;
        }
        (digits == 32).then_some(Self(bytes))
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        let uuid = Uuid::from_random([0xab; 16]);
        assert_eq!(uuid.to_string(), "abababab-abab-4bab-abab-abababababab");
        assert_eq!(Uuid::parse(&uuid.to_string()), Some(uuid));
        for bad in [
            "",
            "abababab",
            "abababab-abab-4bab-abab-ababababababa",
            "abababab-abab-4bab-abab-abababababa",
            "abababab+abab-4bab-abab-abababababab",
            "abababab-abab-4bab-abab-ababababab-b",
            "ababababxabab-4bab-abab-abababababab",
        ] {
            assert_eq!(Uuid::parse(bad), None, "{bad}");
        }
    }
}
