// A CUDA driver without a device: its memory is a file of the system's shared memory, which both sides of a test see.
// A handle is the file's path, padded with zeros. Each call appends one line to the file that FAKE_CUDA_LOG names.

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

typedef int CUresult;
typedef int CUdevice;
typedef void *CUcontext;
typedef unsigned long long CUdeviceptr;
typedef struct {
    char reserved[64];
} CUipcMemHandle;

enum { SUCCESS = 0, INVALID_VALUE = 1, INVALID_DEVICE = 101, INVALID_CONTEXT = 201, NOT_SUPPORTED = 801 };

static __thread CUcontext stack[8];
static __thread int depth;
static char contexts[2];
static CUdeviceptr base;
static size_t length;

static void note(const char *call) {
    FILE *log = fopen(getenv("FAKE_CUDA_LOG"), "a");
    fprintf(log, "%s\n", call);
    fclose(log);
}

static int current(int device) { return depth > 0 && stack[depth - 1] == &contexts[device]; }

CUresult cuInit(unsigned flags) { return flags == 0 ? SUCCESS : INVALID_VALUE; }

CUresult cuDeviceGetCount(int *count) {
    *count = 2;
    return SUCCESS;
}

CUresult cuDeviceGet(CUdevice *device, int ordinal) {
    if (ordinal < 0 || ordinal > 1) return INVALID_DEVICE;
    *device = ordinal;
    return SUCCESS;
}

CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device) {
    note("retain");
    *context = &contexts[device];
    return SUCCESS;
}

CUresult cuCtxPushCurrent_v2(CUcontext context) {
    if (depth == 8) return INVALID_VALUE;
    stack[depth++] = context;
    return SUCCESS;
}

CUresult cuCtxPopCurrent_v2(CUcontext *context) {
    if (depth == 0) return INVALID_CONTEXT;
    *context = stack[--depth];
    return SUCCESS;
}

CUresult cuIpcOpenMemHandle_v2(CUdeviceptr *memory, CUipcMemHandle handle, unsigned flags) {
    struct stat found;
    if (!current(1) || flags != 1) return INVALID_CONTEXT;
    int file = open(handle.reserved, O_RDWR);
    if (file < 0 || fstat(file, &found) != 0) return INVALID_VALUE;
    note("open");
    length = found.st_size;
    base = (CUdeviceptr)mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    *memory = base;
    return SUCCESS;
}

CUresult cuIpcCloseMemHandle(CUdeviceptr memory) {
    if (!current(1) || memory != base) return INVALID_CONTEXT;
    note("close");
    return munmap((void *)memory, length) == 0 ? SUCCESS : INVALID_VALUE;
}

CUresult cuMemGetAddressRange_v2(CUdeviceptr *start, size_t *size, CUdeviceptr memory) {
    if (!current(1) || memory != base) return INVALID_CONTEXT;
    *start = base;
    *size = length;
    return SUCCESS;
}

CUresult cuMemcpyDtoH_v2(void *to, CUdeviceptr from, size_t size) {
    if (!current(1) || from < base || from + size > base + length) return INVALID_VALUE;
    memcpy(to, (void *)from, size);
    return SUCCESS;
}

CUresult cuMemcpyHtoD_v2(CUdeviceptr to, const void *from, size_t size) {
    if (!current(1) || to < base || to + size > base + length) return INVALID_VALUE;
    memcpy((void *)to, from, size);
    return SUCCESS;
}

CUresult cuStreamSynchronize(void *stream) {
    note("synchronize");
    return stream == NULL && current(1) ? SUCCESS : INVALID_CONTEXT;
}

CUresult cuGetErrorString(CUresult status, const char **text) {
    *text = status == INVALID_DEVICE ? "invalid device ordinal" : "invalid argument";
    return SUCCESS;
}

// What else the server looks for in a driver; to share memory it needs none of it.
#define UNSUPPORTED(name) CUresult name(void) { return NOT_SUPPORTED; }

UNSUPPORTED(cuDeviceGetName)
UNSUPPORTED(cuDeviceTotalMem_v2)
UNSUPPORTED(cuDevicePrimaryCtxRelease_v2)
UNSUPPORTED(cuCtxSetCurrent)
UNSUPPORTED(cuStreamCreate)
UNSUPPORTED(cuStreamDestroy_v2)
UNSUPPORTED(cuMemAlloc_v2)
UNSUPPORTED(cuMemFree_v2)
UNSUPPORTED(cuMemHostAlloc)
UNSUPPORTED(cuMemFreeHost)
UNSUPPORTED(cuMemcpyHtoDAsync_v2)
UNSUPPORTED(cuMemcpyDtoHAsync_v2)
