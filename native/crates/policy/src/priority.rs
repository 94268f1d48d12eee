//! Who goes first: 0 before 1 before 2 before 3.

/// Ordered as it is written: the smaller number is served first and refused last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Priority(u8);

impl Priority {
    pub const COUNT: usize = 4;
    pub const FIRST: Self = Self(0);
    pub const LAST: Self = Self(3);

    /// `None`: there is no such priority.
    pub fn new(number: u8) -> Option<Self> {
        (number <= Self::LAST.0).then_some(Self(number))
    }

    /// As a header's value says it. `None`: it says something else.
    pub fn parse(value: &[u8]) -> Option<Self> {
        match value {
            [digit @ b'0'..=b'9'] => Self::new(digit - b'0'),
            _ => None,
        }
    }

    pub fn number(self) -> usize {
        usize::from(self.0)
    }
}

impl Default for Priority {
    /// 1: there is something to put before what says nothing, and something to put after it.
    fn default() -> Self {
        Self(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_says_one_of_four() {
        for number in 0..4 {
            let priority = Priority::parse(number.to_string().as_bytes()).unwrap();
            assert_eq!((priority.number(), Some(priority)), (number, Priority::new(number as u8)));
        }
        for wrong in ["", "4", "9", "-1", "01", "1 ", "high", "\u{661}"] {
            assert_eq!(Priority::parse(wrong.as_bytes()), None, "{wrong:?}");
        }
    }

    #[test]
    fn the_smaller_number_goes_first() {
        assert!(Priority::FIRST < Priority::default() && Priority::default() < Priority::LAST);
        assert_eq!(Priority::LAST.number() + 1, Priority::COUNT);
    }
}
