//! Which of ONNX Runtime's errors on a GPU are the end of it for this process.

use infermesh_cuda::is_sticky;
use infermesh_wire::Error;
use ort_sys::OrtErrorCode;

/// What cuBLAS and cuDNN return when the device has failed beneath them.
const FAILED_BENEATH: [&str; 3] =
    ["CUBLAS_STATUS_EXECUTION_FAILED", "CUBLAS_STATUS_MAPPING_ERROR", "CUDNN_STATUS_EXECUTION_FAILED"];

/// What a number of CUDA's follows.
const FAILURE: &str = "CUDA failure ";

/// Whether the device is lost. Only for what a session on a GPU returned: elsewhere the words may be a caller's.
pub fn is_fatal(code: OrtErrorCode, message: &str) -> bool {
    code == OrtErrorCode::ORT_DEVICE_RESET
        || FAILED_BENEATH.iter().any(|status| message.contains(status))
        || cuda_failure(message).is_some_and(is_sticky)
}

/// The number in "CUDA failure 700: an illegal memory access was encountered ; GPU=0 ; ...".
fn cuda_failure(message: &str) -> Option<i32> {
    let (_, rest) = message.split_once(FAILURE)?;
    let digits = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
    rest[..digits].parse().ok()
}

/// The error as callers may read it: without the host's name and the paths of the build.
pub fn error(code: OrtErrorCode, message: &str) -> Error {
    let told = message.split(" ; GPU=").next().unwrap_or_default();
    // Where it happened stands first: the file and the signature of the function, each as often as it was passed on.
    let told = match (told.find("/onnxruntime_src/"), told.find(FAILURE)) {
        (Some(place), Some(failure)) if place < failure => format!("{}{}", &told[..place], &told[failure..]),
        _ => told.to_owned(),
    };
    let told = told.trim().to_owned();
    if is_fatal(code, message) { Error::fatal(told) } else { Error::internal(told) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ILLEGAL: &str = "CUDA failure 700: an illegal memory access was encountered ; GPU=0 ; hostname=h ; \
                           file=/onnxruntime_src/cuda_call.cc ; line=129 ; expr=cudaStreamSynchronize(stream); ";

    fn fatal(message: &str) -> bool {
        is_fatal(OrtErrorCode::ORT_FAIL, message)
    }

    #[test]
    fn a_lost_device_is_fatal() {
        assert!(fatal(ILLEGAL));
        assert!(fatal(
            "Non-zero status code returned while running Conv node. CUDA failure 719: unspecified"
        ));
        assert!(fatal("CUBLAS failure 13: CUBLAS_STATUS_EXECUTION_FAILED ; GPU=0"));
        assert!(fatal("CUDNN failure 5000: CUDNN_STATUS_EXECUTION_FAILED ; GPU=0"));
        assert!(is_fatal(OrtErrorCode::ORT_DEVICE_RESET, "the device was reset"));
    }

    #[test]
    fn what_passes_is_not() {
        assert!(!fatal("CUDA failure 2: out of memory ; GPU=0"));
        assert!(!fatal("Failed to allocate memory for requested buffer of size 700"));
        assert!(!fatal("BFCArena::AllocateRawInternal Available memory of 700 is smaller than requested"));
        assert!(!fatal("CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0"));
        assert!(!fatal("CUDA failure 7000: not a number of CUDA's"));
        assert!(!fatal("CUDA failure "));
        assert!(!fatal("Got invalid dimensions for input: x"));
    }

    #[test]
    fn callers_do_not_learn_about_the_host() {
        let error = error(OrtErrorCode::ORT_FAIL, ILLEGAL);
        assert!(error.fatal);
        assert_eq!(error.message, "CUDA failure 700: an illegal memory access was encountered");
        let passed_on = "Non-zero status code returned while running Add node: \
            /onnxruntime_src/onnxruntime/core/providers/cuda/cuda_call.cc:154 void onnxruntime::CudaCall(int) \
            [with THRW = true] /onnxruntime_src/onnxruntime/core/providers/cuda/cuda_call.cc:146 CUDA failure 717: \
            operation not supported on global/shared address space ; GPU=0 ; hostname=h ; expr=x;";
        let error = super::error(OrtErrorCode::ORT_FAIL, passed_on);
        assert!(error.fatal);
        assert_eq!(
            error.message,
            "Non-zero status code returned while running Add node: \
             CUDA failure 717: operation not supported on global/shared address space"
        );
    }
}
