//! Tensors as ONNX Runtime holds them.

use crate::api::Api;
use bytes::{BufMut, Bytes, BytesMut};
use infermesh_batcher::{Tensor, TensorView};
use infermesh_wire::{DataType, Error, Shape, datatype::elements};
use ort_sys::{
    ONNXTensorElementDataType as Element, OrtAllocatorType, OrtMemType, OrtMemoryInfo,
    OrtTensorTypeAndShapeInfo, OrtValue,
};
use std::{ffi::c_void, ptr};

/// The protocol's name for an element type; `None` for those that v2 cannot carry.
pub fn datatype(element: Element) -> Option<DataType> {
    use Element::*;
    Some(match element {
        ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL => DataType::Bool,
        ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8 => DataType::Uint8,
        ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT16 => DataType::Uint16,
        ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT32 => DataType::Uint32,
        ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT64 => DataType::Uint64,
        ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8 => DataType::Int8,
        ONNX_TENSOR_ELEMENT_DATA_TYPE_INT16 => DataType::Int16,
        ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32 => DataType::Int32,
        ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64 => DataType::Int64,
        ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16 => DataType::Fp16,
        ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT => DataType::Fp32,
        ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE => DataType::Fp64,
        ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING => DataType::Bytes,
        ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16 => DataType::Bf16,
        _ => return None,
    })
}

pub fn element(datatype: DataType) -> Element {
    use Element::*;
    match datatype {
        DataType::Bool => ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL,
        DataType::Uint8 => ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8,
        DataType::Uint16 => ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT16,
        DataType::Uint32 => ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT32,
        DataType::Uint64 => ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT64,
        DataType::Int8 => ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8,
        DataType::Int16 => ONNX_TENSOR_ELEMENT_DATA_TYPE_INT16,
        DataType::Int32 => ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32,
        DataType::Int64 => ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64,
        DataType::Fp16 => ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16,
        DataType::Fp32 => ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT,
        DataType::Fp64 => ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE,
        DataType::Bytes => ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING,
        DataType::Bf16 => ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16,
    }
}

/// Where memory is, in ONNX Runtime's terms.
pub struct MemoryInfo {
    api: Api,
    pub raw: *mut OrtMemoryInfo,
}

// SAFETY: an OrtMemoryInfo is an immutable description.
unsafe impl Send for MemoryInfo {}
// SAFETY: as above.
unsafe impl Sync for MemoryInfo {}

impl MemoryInfo {
    pub fn of_host(api: Api) -> Result<Self, Error> {
        let mut raw = ptr::null_mut();
        // SAFETY: the out-pointer is valid for the call.
        api.check(unsafe {
            (api.table.CreateCpuMemoryInfo)(
                OrtAllocatorType::OrtArenaAllocator,
                OrtMemType::OrtMemTypeDefault,
                &mut raw,
            )
        })?;
        Ok(Self { api, raw })
    }

    pub fn of_gpu(api: Api, device: i32) -> Result<Self, Error> {
        let mut raw = ptr::null_mut();
        // SAFETY: the name is a C string, the out-pointer is valid for the call.
        api.check(unsafe {
            (api.table.CreateMemoryInfo)(
                c"Cuda".as_ptr(),
                OrtAllocatorType::OrtDeviceAllocator,
                device,
                OrtMemType::OrtMemTypeDefault,
                &mut raw,
            )
        })?;
        Ok(Self { api, raw })
    }
}

impl Drop for MemoryInfo {
    fn drop(&mut self) {
        // SAFETY: ours, released once.
        unsafe { (self.api.table.ReleaseMemoryInfo)(self.raw) }
    }
}

/// An owned OrtValue.
pub struct Value {
    api: Api,
    pub raw: *mut OrtValue,
}

// SAFETY: a tensor value is plain memory with an owner; nothing in it is bound to a thread.
unsafe impl Send for Value {}
// SAFETY: shared access only reads the tensor.
unsafe impl Sync for Value {}

impl Drop for Value {
    fn drop(&mut self) {
        // SAFETY: ours, released once.
        unsafe { (self.api.table.ReleaseValue)(self.raw) }
    }
}

impl Value {
    /// Takes over what ONNX Runtime handed out.
    ///
    /// # Safety
    /// `raw` is a valid OrtValue that nobody else releases.
    pub unsafe fn from_raw(api: Api, raw: *mut OrtValue) -> Self {
        Self { api, raw }
    }

    /// An input. Fixed-size elements stay where they are, so `view` must outlive the value's use; strings are copied.
    pub fn of_view(
        api: Api,
        host: &MemoryInfo,
        view: &TensorView<'_>,
        datatype: DataType,
    ) -> Result<Self, Error> {
        if datatype == DataType::Bytes {
            return Self::of_strings(api, view);
        }
        let start = view.data.as_ptr().cast_mut().cast();
        Self::over(api, host, start, view.data.len(), &view.shape, datatype)
    }

    /// A tensor of fixed-size elements in memory of somebody else's, which must outlive the value's use: on the device
    /// where `memory` is one. ONNX Runtime checks that `bytes` is enough for the shape, and writes to outputs only.
    pub fn over(
        api: Api,
        memory: &MemoryInfo,
        start: *mut c_void,
        bytes: usize,
        shape: &[i64],
        datatype: DataType,
    ) -> Result<Self, Error> {
        let mut raw = ptr::null_mut();
        // SAFETY: the shape is valid for its length; nothing is read or written before the value is used.
        api.check(unsafe {
            (api.table.CreateTensorWithDataAsOrtValue)(
                memory.raw,
                start,
                bytes,
                shape.as_ptr(),
                shape.len(),
                element(datatype),
                &mut raw,
            )
        })?;
        Ok(Self { api, raw })
    }

    fn of_strings(api: Api, view: &TensorView<'_>) -> Result<Self, Error> {
        let mut allocator = ptr::null_mut();
        let mut raw = ptr::null_mut();
        // SAFETY: the default allocator needs no release; shape is valid for its length.
        api.check(unsafe { (api.table.GetAllocatorWithDefaultOptions)(&mut allocator) })?;
        // SAFETY: as above.
        api.check(unsafe {
            (api.table.CreateTensorAsOrtValue)(
                allocator,
                view.shape.as_ptr(),
                view.shape.len(),
                element(DataType::Bytes),
                &mut raw,
            )
        })?;
        let value = Self { api, raw };
        for (index, element) in elements(view.data).enumerate() {
            let element = element.ok_or_else(|| Error::invalid("a BYTES tensor is cut short"))?;
            let mut start = ptr::null_mut();
            // SAFETY: validation held the number of elements against the shape, and ONNX Runtime checks the index.
            api.check(unsafe {
                (api.table.GetResizedStringTensorElementBuffer)(value.raw, index, element.len(), &mut start)
            })?;
            // SAFETY: the call made room for exactly so many bytes, which nothing else refers to yet.
            unsafe { ptr::copy_nonoverlapping(element.as_ptr(), start.cast(), element.len()) };
        }
        Ok(value)
    }

    /// The tensor behind an output; the bytes of fixed-size elements are not copied, they keep the value alive.
    pub fn into_tensor(self, datatype: DataType) -> Result<Tensor, Error> {
        let (shape, count) = self.shape()?;
        let data = match datatype.size() {
            None => self.strings(count)?,
            Some(size) => {
                let start = self.start()?;
                match count * size {
                    0 => Bytes::new(),
                    length => {
                        Bytes::from_owner(Buffer { start: start.cast_const().cast(), length, _value: self })
                    }
                }
            }
        };
        Ok(Tensor { shape, data })
    }

    /// Where the elements of a tensor of fixed-size ones begin, on the host or on a device; as long as the value lives.
    pub fn start(&self) -> Result<*mut c_void, Error> {
        let mut start = ptr::null_mut();
        // SAFETY: the value is a tensor of fixed-size elements, the out-pointer is valid for the call.
        self.api.check(unsafe { (self.api.table.GetTensorMutableData)(self.raw, &mut start) })?;
        Ok(start)
    }

    /// The shape, and how many elements that is.
    pub fn shape(&self) -> Result<(Shape, usize), Error> {
        let table = self.api.table;
        let mut info = ptr::null_mut();
        // SAFETY: the value is valid; the out-pointer receives an object that the guard releases.
        self.api.check(unsafe { (table.GetTensorTypeAndShape)(self.raw, &mut info) })?;
        let info = ShapeInfo { api: self.api, raw: info };
        let (shape, count) = info.read()?;
        Ok((shape, count))
    }

    fn strings(&self, count: usize) -> Result<Bytes, Error> {
        let table = self.api.table;
        let mut total = 0;
        // SAFETY: the value is a string tensor of `count` elements; both buffers have the sizes that are passed.
        self.api.check(unsafe { (table.GetStringTensorDataLength)(self.raw, &mut total) })?;
        let (mut text, mut offsets) = (vec![0u8; total], vec![0usize; count]);
        // SAFETY: as above.
        self.api.check(unsafe {
            (table.GetStringTensorContent)(
                self.raw,
                text.as_mut_ptr().cast(),
                total,
                offsets.as_mut_ptr(),
                count,
            )
        })?;
        let mut serialised = BytesMut::with_capacity(total + 4 * count);
        for (index, &from) in offsets.iter().enumerate() {
            let to = offsets.get(index + 1).copied().unwrap_or(total);
            serialised.put_u32_le((to - from) as u32);
            serialised.put_slice(&text[from..to]);
        }
        Ok(serialised.freeze())
    }
}

/// An output's memory together with the value that owns it.
struct Buffer {
    start: *const u8,
    length: usize,
    _value: Value,
}

// SAFETY: the buffer is only read, and its owner may move between threads.
unsafe impl Send for Buffer {}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: the value owns `length` initialised bytes at `start` and outlives the borrow.
        unsafe { std::slice::from_raw_parts(self.start, self.length) }
    }
}

/// An owned OrtTensorTypeAndShapeInfo.
struct ShapeInfo {
    api: Api,
    raw: *mut OrtTensorTypeAndShapeInfo,
}

impl ShapeInfo {
    fn read(&self) -> Result<(Shape, usize), Error> {
        let mut count = 0;
        // SAFETY: the info is valid until dropped.
        self.api.check(unsafe { (self.api.table.GetTensorShapeElementCount)(self.raw, &mut count) })?;
        Ok((dimensions(self.api, self.raw)?, count))
    }
}

impl Drop for ShapeInfo {
    fn drop(&mut self) {
        // SAFETY: ours, released once.
        unsafe { (self.api.table.ReleaseTensorTypeAndShapeInfo)(self.raw) }
    }
}

/// The dimensions in `info`, -1 for those that vary.
pub fn dimensions(api: Api, info: *const OrtTensorTypeAndShapeInfo) -> Result<Shape, Error> {
    let mut rank = 0;
    // SAFETY: the caller's info is valid; the shape has room for `rank` dimensions.
    api.check(unsafe { (api.table.GetDimensionsCount)(info, &mut rank) })?;
    let mut shape = Shape::from_elem(0, rank);
    // SAFETY: as above.
    api.check(unsafe { (api.table.GetDimensions)(info, shape.as_mut_ptr(), rank) })?;
    Ok(shape)
}
