//! Start timestamps, which newer chunks carry behind the samples from which on they change.

use super::bits::Bits;

/// What is known so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Starts {
    first_known: bool,
    changes_at: usize,
    /// Time of the sample before, less the start.
    distance: i64,
    start: i64,
}

impl Starts {
    /// Takes the header's byte; 0 where no sample has a start.
    pub(super) fn new(header: u8) -> Starts {
        Starts { first_known: header & 0x80 != 0, changes_at: usize::from(header & 0x7f), distance: 0, start: 0 }
    }

    /// Takes what follows sample `index`, and returns its start, 0 where unknown.
    pub(super) fn next(&mut self, bits: &mut Bits<'_>, index: usize, at: i64, before: i64) -> Option<i64> {
        if index == 0 {
            if self.first_known {
                self.start = at.wrapping_sub(bits.varint_signed()?);
            }
        } else if self.changes_at > 0 && index >= self.changes_at {
            let change = bits.varbit()?;
            self.distance = if index == self.changes_at { change } else { self.distance.wrapping_add(change) };
            self.start = before.wrapping_sub(self.distance);
        }
        Some(self.start)
    }
}
