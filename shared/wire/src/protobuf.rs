//! Walks protobuf messages as ranges of the body: nothing is copied, no object per field. [`write`] is the other direction.

pub(crate) mod write;

/// The body is not a protobuf message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Malformed;

/// The value of one field.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
}

impl<'a> Value<'a> {
    pub(crate) fn bytes(self) -> Result<&'a [u8], Malformed> {
        if let Value::Bytes(bytes) = self { Ok(bytes) } else { Err(Malformed) }
    }

    pub(crate) fn varint(self) -> Result<u64, Malformed> {
        if let Value::Varint(value) = self { Ok(value) } else { Err(Malformed) }
    }

    pub(crate) fn double(self) -> Result<f64, Malformed> {
        if let Value::Fixed64(bits) = self { Ok(f64::from_bits(bits)) } else { Err(Malformed) }
    }

    pub(crate) fn fixed32(self) -> Result<u32, Malformed> {
        if let Value::Fixed32(bits) = self { Ok(bits) } else { Err(Malformed) }
    }

    /// Calls `take` for each number of a packed or a single varint field.
    pub(crate) fn each_varint(self, mut take: impl FnMut(u64)) -> Result<(), Malformed> {
        match self {
            Value::Varint(value) => take(value),
            Value::Bytes(bytes) => {
                let mut fields = Fields { rest: bytes };
                while !fields.rest.is_empty() {
                    take(fields.varint()?);
                }
            }
            _ => return Err(Malformed),
        }
        Ok(())
    }

    /// Calls `take` for each number of a packed or a single double field.
    pub(crate) fn each_double(self, mut take: impl FnMut(f64)) -> Result<(), Malformed> {
        match self {
            Value::Fixed64(bits) => take(f64::from_bits(bits)),
            Value::Bytes(bytes) => {
                let (words, rest) = bytes.as_chunks::<8>();
                if !rest.is_empty() {
                    return Err(Malformed);
                }
                words.iter().for_each(|word| take(f64::from_le_bytes(*word)));
            }
            _ => return Err(Malformed),
        }
        Ok(())
    }
}

/// Decodes a zigzag number (`sint32`, `sint64`).
pub(crate) fn zigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// The fields of a message that are still to be read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(crate) fn of(message: &'a [u8]) -> Fields<'a> {
        Fields { rest: message }
    }

    /// Takes the next field, `None` at the end.
    #[inline]
    pub(crate) fn next(&mut self) -> Result<Option<(u64, Value<'a>)>, Malformed> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        if key >> 3 == 0 {
            return Err(Malformed);
        }
        let value = match key & 7 {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(u64::from_le_bytes(*self.chunk::<8>()?)),
            2 => {
                let len = usize::try_from(self.varint()?).map_err(|_| Malformed)?;
                let (head, tail) = self.rest.split_at_checked(len).ok_or(Malformed)?;
                self.rest = tail;
                Value::Bytes(head)
            }
            5 => Value::Fixed32(u32::from_le_bytes(*self.chunk::<4>()?)),
            _ => return Err(Malformed),
        };
        Ok(Some((key >> 3, value)))
    }

    fn chunk<const N: usize>(&mut self) -> Result<&'a [u8; N], Malformed> {
        let (head, tail) = self.rest.split_first_chunk::<N>().ok_or(Malformed)?;
        self.rest = tail;
        Ok(head)
    }

    #[inline]
    fn varint(&mut self) -> Result<u64, Malformed> {
        match self.rest {
            [byte, tail @ ..] if *byte < 0x80 => {
                self.rest = tail;
                Ok(u64::from(*byte))
            }
            _ => model::labels::take_varint(&mut self.rest).ok_or(Malformed),
        }
    }
}
