//! The two types of number that Rust has no stable form of.
//! <https://en.wikipedia.org/wiki/Half-precision_floating-point_format>

/// How sixteen bits are divided.
#[derive(Debug, Clone, Copy)]
pub struct Format {
    fraction_bits: u32,
    /// Of the smallest normal number.
    min_exponent: i32,
}

/// IEEE 754 binary16.
pub const FP16: Format = Format { fraction_bits: 10, min_exponent: -14 };

/// The upper half of an FP32.
pub const BF16: Format = Format { fraction_bits: 7, min_exponent: -126 };

impl Format {
    /// The nearest, ties to even; infinity beyond the largest.
    pub fn encode(self, value: f64) -> u16 {
        let sign = if value.is_sign_negative() { 0x8000 } else { 0 };
        let infinity = self.infinity();
        if value.is_nan() {
            return sign | infinity | 1 << (self.fraction_bits - 1);
        }
        let exponent = ((value.to_bits() >> 52 & 0x7ff) as i32 - 1023).max(self.min_exponent);
        // In units of the last bit; below the smallest normal number these do not become smaller. The cast
        // saturates.
        let units = (value.abs() / power(exponent - self.fraction_bits as i32)).round_ties_even() as u64;
        let bits = ((exponent - self.min_exponent) as u64) << self.fraction_bits;
        sign | bits.saturating_add(units).min(infinity.into()) as u16
    }

    pub fn decode(self, bits: u16) -> f64 {
        let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
        let magnitude = bits & 0x7fff;
        let fraction = magnitude & ((1 << self.fraction_bits) - 1);
        let exponent = i32::from(magnitude >> self.fraction_bits);
        sign * match magnitude {
            _ if magnitude > self.infinity() => f64::NAN,
            _ if magnitude == self.infinity() => f64::INFINITY,
            _ if exponent == 0 => f64::from(fraction) * self.unit(0),
            _ => f64::from(fraction | 1 << self.fraction_bits) * self.unit(exponent - 1),
        }
    }

    fn infinity(self) -> u16 {
        0x7fff >> self.fraction_bits << self.fraction_bits
    }

    fn unit(self, exponent: i32) -> f64 {
        power(self.min_exponent - self.fraction_bits as i32 + exponent)
    }
}

/// Of two, exactly.
fn power(exponent: i32) -> f64 {
    f64::from_bits(((exponent + 1023) as u64) << 52)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_what_it_was() {
        for format in [FP16, BF16] {
            for bits in 0..=u16::MAX {
                let value = format.decode(bits);
                if value.is_nan() {
                    assert!(format.decode(format.encode(value)).is_nan());
                } else {
                    assert_eq!(format.encode(value), bits, "{value}");
                }
            }
        }
    }

    #[test]
    fn a_bfloat_is_the_upper_half_of_a_float() {
        for bits in 0..=u16::MAX {
            let float = f32::from_bits(u32::from(bits) << 16);
            assert!(BF16.decode(bits) == f64::from(float) || float.is_nan());
        }
    }

    #[test]
    fn the_nearest_is_taken_and_of_two_the_even_one() {
        assert_eq!(FP16.decode(FP16.encode(0.1)), 0.0999755859375);
        assert_eq!((FP16.encode(1.0), FP16.encode(-2.0)), (0x3c00, 0xc000));
        assert_eq!((FP16.encode(2049.0), FP16.encode(2051.0)), (FP16.encode(2048.0), FP16.encode(2052.0)));
        // Half way to what would be the next number.
        assert_eq!((FP16.encode(65519.9), FP16.encode(65520.0)), (0x7bff, 0x7c00));
        assert_eq!((FP16.encode(f64::MAX), BF16.encode(-f64::MAX)), (0x7c00, 0xff80));
        assert_eq!((FP16.encode(1e-300), FP16.encode(-0.0)), (0, 0x8000));
    }
}
