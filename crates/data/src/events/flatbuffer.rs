//! The little of FlatBuffers that AEDAT 4 needs: tables of scalars, strings and vectors, every access checked.
//!
//! A table begins with a signed distance back to its *vtable*, a list of two-byte words: its own size, the table's
//! size, then for each field where it lies in the table (0: absent). Strings and vectors lie at a distance that the
//! field holds, and begin with their length.

/// A table inside a buffer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Table<'a> {
    buffer: &'a [u8],
    at: usize,
}

fn bytes<const N: usize>(buffer: &[u8], at: usize) -> Option<[u8; N]> {
    buffer.get(at..at.checked_add(N)?)?.try_into().ok()
}

fn word(buffer: &[u8], at: usize) -> Option<usize> {
    usize::try_from(u32::from_le_bytes(bytes(buffer, at)?)).ok()
}

impl<'a> Table<'a> {
    /// The root table of a buffer.
    pub fn root(buffer: &'a [u8]) -> Option<Self> {
        Some(Self { buffer, at: word(buffer, 0)? })
    }

    /// The four letters that name a buffer's kind.
    pub fn identifier(buffer: &[u8]) -> Option<[u8; 4]> {
        bytes(buffer, 4)
    }

    /// Returns the offset of field `k`; `Ok(None)` where it is absent, `None` where the buffer is damaged.
    fn field(&self, k: usize) -> Option<Option<usize>> {
        let back = i64::from(i32::from_le_bytes(bytes(self.buffer, self.at)?));
        let vtable = usize::try_from(self.at as i64 - back).ok()?;
        let short = |at: usize| Some(usize::from(u16::from_le_bytes(bytes(self.buffer, at)?)));
        let size = short(vtable)?;
        let entry = 4 + 2 * k;
        if entry + 2 > size {
            return Some(None);
        }
        let offset = short(vtable + entry)?;
        Some(if offset == 0 { None } else { Some(self.at + offset) })
    }

    /// A field of four bytes, 0 where it is absent.
    pub fn i32(&self, k: usize) -> Option<i32> {
        match self.field(k)? {
            Some(at) => Some(i32::from_le_bytes(bytes(self.buffer, at)?)),
            None => Some(0),
        }
    }

    /// A field of eight bytes, 0 where it is absent.
    pub fn i64(&self, k: usize) -> Option<i64> {
        match self.field(k)? {
            Some(at) => Some(i64::from_le_bytes(bytes(self.buffer, at)?)),
            None => Some(0),
        }
    }

    /// A vector of `size`-byte structures (or, with size 1, a string), empty where it is absent.
    pub fn vector(&self, k: usize, size: usize) -> Option<&'a [u8]> {
        let Some(at) = self.field(k)? else { return Some(&[]) };
        let start = at.checked_add(word(self.buffer, at)?)?;
        let len = word(self.buffer, start)?.checked_mul(size)?;
        let first = start.checked_add(4)?;
        self.buffer.get(first..first.checked_add(len)?)
    }
}
