//! Views of the flat parameter vectors.

use std::ops::Range;

/// Two ranges of a slice, the first before the second.
pub(super) fn two<'a>(
    data: &'a mut [f32],
    a: &Range<usize>,
    b: &Range<usize>,
) -> (&'a mut [f32], &'a mut [f32]) {
    let (head, tail) = data.split_at_mut(b.start);
    (&mut head[a.clone()], &mut tail[..b.len()])
}
