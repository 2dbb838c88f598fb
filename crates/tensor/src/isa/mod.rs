//! The instruction sets behind [`Lanes`](crate::Lanes), a file each.

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512;
pub(crate) mod baseline;

/// Implements the four operators of `std::ops` for a vector newtype.
macro_rules! operators {
    ($vector:ty: $($trait:ident $method:ident $op:expr),*) => {$(
        impl std::ops::$trait for $vector {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                // SAFETY: the value exists only inside `Level::run`, which checked the processor's features.
                #[allow(unused_unsafe, unsafe_code)]
                unsafe { Self($op(self.0, other.0)) }
            }
        }
    )*};
}
pub(crate) use operators;
