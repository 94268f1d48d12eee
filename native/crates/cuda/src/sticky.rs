//! CUDA's errors after which a process cannot use the device any more.

/// By its number, which the driver's API and the runtime's share: a device that is unavailable (46); uncorrectable ECC
/// (214) and NVLink (220) errors; illegal address (700), launch timeout (702), assertion (710), hardware stack error
/// (714), illegal instruction (715), misaligned address (716), invalid address space (717), invalid program counter
/// (718), launch failure (719). To run out of memory (2) is none of them.
pub fn is_sticky(number: i32) -> bool {
    matches!(number, 46 | 214 | 220 | 700 | 702 | 710 | 714..=719)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_is_told_from_what_passes() {
        assert!([46, 214, 220, 700, 702, 710, 714, 715, 716, 717, 718, 719].into_iter().all(is_sticky));
        assert!(![0, 1, 2, 3, 100, 201, 701, 720, 900].into_iter().any(is_sticky));
    }
}
