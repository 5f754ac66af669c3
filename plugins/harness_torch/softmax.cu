// Softmax that reads each number from the GPU's memory once and writes it once, 16 bytes per thread.
//
// cuda_softmax.py chooses one of three layouts by the length of a row, and compiles it with NVRTC
// for one type and one number of classes K. A row that contains NaN or +inf becomes NaN; -inf gets
// probability 0. Pointers are 16-byte aligned.

typedef long long Index;

template <typename T, int N>
struct alignas(N * sizeof(T)) Vector {
    T at[N];
};

#ifndef EMULATED  // tests emulate these functions on the CPU
// Signals to the other blocks of the cluster that this block has arrived here, and that its earlier
// writes are visible to them.
static __device__ __forceinline__ void tell_cluster() {
    asm volatile("barrier.cluster.arrive.release.aligned;" ::: "memory");
}

static __device__ __forceinline__ void wait_for_cluster() {
    asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory");
}

static __device__ __forceinline__ unsigned address_in_block(const void* here, int block) {
    unsigned address, own = (unsigned)__cvta_generic_to_shared(here);
    asm("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(address) : "r"(own), "r"(block));
    return address;
}

// Writes into another block's shared memory, at the address that `here` has in this block.
static __device__ __forceinline__ void put(float* here, int block, float value) {
    asm volatile("st.shared::cluster.f32 [%0], %1;"
                 ::"r"(address_in_block(here, block)), "f"(value) : "memory");
}

static __device__ __forceinline__ void put(double* here, int block, double value) {
    asm volatile("st.shared::cluster.f64 [%0], %1;"
                 ::"r"(address_in_block(here, block)), "d"(value) : "memory");
}

// Writes 16 bytes at once. Without this, the compiler splits the store into four wherever there is a
// branch for the ends of a row.
static __device__ __forceinline__ void write(float* out, const Vector<float, 4>& z) {
    asm volatile("st.global.v4.f32 [%0], {%1, %2, %3, %4};"
                 ::"l"(__cvta_generic_to_global(out)),
                 "f"(z.at[0]), "f"(z.at[1]), "f"(z.at[2]), "f"(z.at[3]) : "memory");
}

static __device__ __forceinline__ void write(double* out, const Vector<double, 2>& z) {
    asm volatile("st.global.v2.f64 [%0], {%1, %2};"
                 ::"l"(__cvta_generic_to_global(out)), "d"(z.at[0]), "d"(z.at[1]) : "memory");
}
#endif

template <typename T>
struct Limits;

template <>
struct Limits<float> {
    static __device__ float lowest() { return -3.402823466e+38f; }
    static __device__ float minus_infinity() { return __int_as_float(0xff800000); }
};

template <>
struct Limits<double> {
    static __device__ double lowest() { return -1.7976931348623157e+308; }
    static __device__ double minus_infinity() { return __longlong_as_double(0xfff0000000000000); }
};

static __device__ __forceinline__ float power(float z) { return expf(z); }
static __device__ __forceinline__ double power(double z) { return exp(z); }

// These ignore NaN; it still reaches the result through the sum.
static __device__ __forceinline__ float larger(float a, float b) { return fmaxf(a, b); }
static __device__ __forceinline__ double larger(double a, double b) { return fmax(a, b); }

// Short rows, where 16 bytes span several rows: a warp copies N_ROWS rows per lane to shared memory
// unchanged, each lane computes its own rows there, and the warp copies the results back.
template <typename T, int K, int THREADS, int N_ROWS>
static __device__ __forceinline__ void short_rows(
    T* out, const T* logits, Index n, unsigned char* memory
) {
    constexpr int WIDTH = 16 / sizeof(T);
    constexpr int ROWS = 32 * N_ROWS, VECTORS = ROWS * K / WIDTH, PASSES = (VECTORS + 31) / 32;
    // If possible, a row is read in pieces of a width that divides it into an odd number of pieces:
    // then the lanes of a warp have no bank conflicts in shared memory.
    constexpr int PIECE = K % WIDTH == 0 ? WIDTH : K % 2 == 0 ? 2 : 1;
    using Whole = Vector<T, WIDTH>;
    using Part = Vector<T, PIECE>;

    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const Index first = ((Index)blockIdx.x * (THREADS / 32) + warp) * ROWS;
    if (first >= n) return;
    const bool full = n - first >= ROWS;
    const int left = full ? ROWS * K : (int)(n - first) * K;
    T* tile = (T*)memory + warp * ROWS * K;
    logits += first * K;
    out += first * K;

    if (full) {
        Whole z[PASSES];  // all loads are issued before the first is used
#pragma unroll
        for (int p = 0; p < PASSES; p++)
            if (p * 32 + lane < VECTORS) z[p] = ((const Whole*)logits)[p * 32 + lane];
#pragma unroll
        for (int p = 0; p < PASSES; p++)
            if (p * 32 + lane < VECTORS) ((Whole*)tile)[p * 32 + lane] = z[p];
    } else {
        for (int i = lane; i < left; i += 32) tile[i] = logits[i];
    }
    __syncwarp();
#pragma unroll
    for (int r = 0; r < N_ROWS; r++) {
        if ((r * 32 + lane) * K >= left) break;
        Part* row = (Part*)(tile + (r * 32 + lane) * K);
        T z[K];
#pragma unroll
        for (int k = 0; k < K; k += PIECE) {
            const Part part = row[k / PIECE];
#pragma unroll
            for (int i = 0; i < PIECE; i++) z[k + i] = part.at[i];
        }
        T top = z[0], sum = 0;
#pragma unroll
        for (int k = 1; k < K; k++) top = larger(top, z[k]);
#pragma unroll
        for (int k = 0; k < K; k++) sum += z[k] = power(z[k] - top);
        const T scale = 1 / sum;
#pragma unroll
        for (int k = 0; k < K; k += PIECE) {
            Part part;
#pragma unroll
            for (int i = 0; i < PIECE; i++) part.at[i] = z[k + i] * scale;
            row[k / PIECE] = part;
        }
    }
    __syncwarp();
    if (full) {
#pragma unroll
        for (int p = 0; p < PASSES; p++)
            if (p * 32 + lane < VECTORS)
                write(out + (p * 32 + lane) * WIDTH, ((const Whole*)tile)[p * 32 + lane]);
    } else {
        for (int i = lane; i < left; i += 32) out[i] = tile[i];
    }
}

// Combines the largest logits and sums of powers of LANES threads of a warp.
template <int LANES, typename T>
static __device__ __forceinline__ void reduce(T& top, T& sum) {
    T largest = top;
#pragma unroll
    for (int d = LANES / 2; d; d /= 2) largest = larger(largest, __shfl_xor_sync(~0u, largest, d));
    sum *= power(top - largest);
#pragma unroll
    for (int d = LANES / 2; d; d /= 2) sum += __shfl_xor_sync(~0u, sum, d);
    top = largest;
}

// The same for all warps of a block, or of CLUSTER blocks.
template <int THREADS, int CLUSTER, typename T>
static __device__ __forceinline__ void reduce_all(T& top, T& sum, unsigned char* memory) {
    constexpr int WARPS = THREADS / 32, N = WARPS * CLUSTER;
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    T *tops = (T*)memory, *sums = tops + N;
    reduce<32>(top, sum);
    if constexpr (CLUSTER == 1) {
        if (lane == 0) tops[warp] = top, sums[warp] = sum;
        __syncthreads();
    } else {
        const int at = blockIdx.x % CLUSTER * WARPS + warp;
        wait_for_cluster();  // each block signals at its start: now all shared memories exist
        if (lane < CLUSTER) put(tops + at, lane, top), put(sums + at, lane, sum);
        tell_cluster();
        wait_for_cluster();
    }
    top = Limits<T>::lowest(), sum = 0;
    for (int i = lane; i < N; i += 32) {
        const T largest = larger(top, tops[i]);
        sum = sum * power(top - largest) + sums[i] * power(tops[i] - largest);
        top = largest;
    }
    reduce<32>(top, sum);
}

// Whether the 16 bytes that begin at a column lie inside the row. The column is among the BLOCK
// columns of pass p, so that only the first and the last pass need a check at run time.
template <int K, int BLOCK, int WIDTH>
static __device__ __forceinline__ bool inside(int p, int column) {
    return (p || column >= 0) && ((p + 1) * BLOCK <= K || column + WIDTH <= K);
}

template <int K, int BLOCK, typename T, int WIDTH>
static __device__ __forceinline__ Vector<T, WIDTH> load(const T* row, int p, int column) {
    Vector<T, WIDTH> z;
    if (inside<K, BLOCK, WIDTH>(p, column)) return *(const Vector<T, WIDTH>*)(row + column);
#pragma unroll
    for (int i = 0; i < WIDTH; i++) {
        const bool ours = K % WIDTH && column + i >= 0 && column + i < K;
        z.at[i] = ours ? row[column + i] : Limits<T>::minus_infinity();
    }
    return z;
}

template <int K, int BLOCK, typename T, int WIDTH>
static __device__ __forceinline__ void store(
    T* row, int p, int column, const Vector<T, WIDTH>& z
) {
    if (inside<K, BLOCK, WIDTH>(p, column)) {
        write(row + column, z);
    } else if constexpr (K % WIDTH) {
#pragma unroll
        for (int i = 0; i < WIDTH; i++)
            if (column + i >= 0 && column + i < K) row[column + i] = z.at[i];
    }
}

// Rows held in registers by LANES threads of a warp, by all THREADS of a block, or by CLUSTER blocks.
template <typename T, int K, int THREADS, int LANES, int CLUSTER>
static __device__ __forceinline__ void held_rows(
    T* out, const T* logits, Index n, unsigned char* memory
) {
    constexpr int WIDTH = 16 / sizeof(T), TEAM = LANES * CLUSTER;
    // A row that does not begin at 16 bytes needs up to one more vector.
    constexpr int VECTORS = K % WIDTH ? (K + 2 * WIDTH - 2) / WIDTH : K / WIDTH;
    constexpr int PASSES = (VECTORS + TEAM - 1) / TEAM, BLOCK = TEAM * WIDTH;
    if constexpr (CLUSTER > 1) tell_cluster();

    const int rank = blockIdx.x % CLUSTER * LANES + threadIdx.x % LANES;
    const Index asked = (Index)(blockIdx.x / CLUSTER) * (THREADS / LANES) + threadIdx.x / LANES;
    const Index row = asked < n ? asked : n - 1;  // all threads of a warp must take part in reductions
    const int column = rank * WIDTH - (K % WIDTH ? (int)(row * K % WIDTH) : 0);
    logits += row * K;
    out += row * K;

    Vector<T, WIDTH> z[PASSES];
#pragma unroll
    for (int p = 0; p < PASSES; p++)
        z[p] = load<K, BLOCK, T, WIDTH>(logits, p, p * BLOCK + column);
    // Each thread first subtracts its own largest logit, so that threads wait for each other only
    // once. It is never -inf: otherwise a thread with nothing but -inf would compute NaN.
    T own = Limits<T>::lowest(), sum = 0;
#pragma unroll
    for (int p = 0; p < PASSES; p++)
#pragma unroll
        for (int i = 0; i < WIDTH; i++) own = larger(own, z[p].at[i]);
#pragma unroll
    for (int p = 0; p < PASSES; p++)
#pragma unroll
        for (int i = 0; i < WIDTH; i++) sum += z[p].at[i] = power(z[p].at[i] - own);
    T top = own;
    if constexpr (LANES <= 32)
        reduce<LANES>(top, sum);
    else
        reduce_all<THREADS, CLUSTER>(top, sum, memory);
    const T scale = power(own - top) / sum;
    if (asked >= n) return;
#pragma unroll
    for (int p = 0; p < PASSES; p++) {
#pragma unroll
        for (int i = 0; i < WIDTH; i++) z[p].at[i] *= scale;
        store<K, BLOCK>(out, p, p * BLOCK + column, z[p]);
    }
}

// Rows too long to be held in registers: they are read twice, the second time backwards, because the
// end may still be in a cache (Milakov & Gimelshein 2018, "Online normalizer calculation").
template <typename T, int K, int THREADS>
static __device__ __forceinline__ void streamed_rows(
    T* out, const T* logits, Index n, unsigned char* memory
) {
    constexpr int WIDTH = 16 / sizeof(T), BLOCK = THREADS * WIDTH;
    constexpr int PASSES = (K + WIDTH - 2 + BLOCK) / BLOCK;
    const int shift = (int)((Index)blockIdx.x * K % WIDTH);
    const int column = threadIdx.x * WIDTH - shift;
    logits += (Index)blockIdx.x * K;
    out += (Index)blockIdx.x * K;

    T top = Limits<T>::lowest(), sum = 0;
#pragma unroll 4
    for (int p = 0; p < PASSES; p++) {
        const Vector<T, WIDTH> z = load<K, BLOCK, T, WIDTH>(logits, p, p * BLOCK + column);
        T largest = top;
#pragma unroll
        for (int i = 0; i < WIDTH; i++) largest = larger(largest, z.at[i]);
        sum *= power(top - largest);
#pragma unroll
        for (int i = 0; i < WIDTH; i++) sum += power(z.at[i] - largest);
        top = largest;
    }
    reduce_all<THREADS, 1>(top, sum, memory);
    const T scale = 1 / sum;
#pragma unroll 4
    for (int p = PASSES - 1; p >= 0; p--) {
        Vector<T, WIDTH> z = load<K, BLOCK, T, WIDTH>(logits, p, p * BLOCK + column);
#pragma unroll
        for (int i = 0; i < WIDTH; i++) z.at[i] = power(z.at[i] - top) * scale;
        store<K, BLOCK>(out, p, p * BLOCK + column, z);
    }
}
