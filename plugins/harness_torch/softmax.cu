// Softmax that reads each number from the GPU's memory once and writes it once, in 16 bytes a thread.
//
// cuda_softmax.py chooses one of three layouts by the length of a row, and has it compiled by NVRTC
// for one type and one number of classes K. A NaN or +inf makes its own row NaN; -inf has
// probability 0. Pointers are 16-byte aligned.

typedef long long Index;

template <typename T, int N>
struct alignas(N * sizeof(T)) Vector {
    T at[N];
};

#ifndef EMULATED  // by tests, on a processor
// A block of a cluster tells the others that it is as far, and has written what it wrote for them.
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

// Writes to where a block of the cluster has what this block has here.
static __device__ __forceinline__ void put(float* here, int block, float value) {
    asm volatile("st.shared::cluster.f32 [%0], %1;"
                 ::"r"(address_in_block(here, block)), "f"(value) : "memory");
}

static __device__ __forceinline__ void put(double* here, int block, double value) {
    asm volatile("st.shared::cluster.f64 [%0], %1;"
                 ::"r"(address_in_block(here, block)), "d"(value) : "memory");
}

// 16 bytes at once: where there is a branch for the ends of a row, the compiler makes four of them.
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

// These ignore a NaN, which goes on in the sum.
static __device__ __forceinline__ float larger(float a, float b) { return fmaxf(a, b); }
static __device__ __forceinline__ double larger(double a, double b) { return fmax(a, b); }

// Short rows, whose 16 bytes are no part of one row: a warp copies N_ROWS rows a lane to shared
// memory as they lie, each lane takes its own rows from there, and all goes back the same way.
template <typename T, int K, int THREADS, int N_ROWS>
static __device__ __forceinline__ void short_rows(
    T* out, const T* logits, Index n, unsigned char* memory
) {
    constexpr int WIDTH = 16 / sizeof(T);
    constexpr int ROWS = 32 * N_ROWS, VECTORS = ROWS * K / WIDTH, PASSES = (VECTORS + 31) / 32;
    // A row is read in pieces so wide that an odd number of them makes a row, if there are such:
    // then the lanes of a warp meet in none of shared memory's banks.
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
        Whole z[PASSES];  // all on their way before the first is there
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

// The largest logit and the sum of powers of LANES threads of a warp, from those of each.
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

// The same of all warps of a block, or of CLUSTER blocks.
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
        wait_for_cluster();  // whose blocks arrived when they began: nobody's memory is yet to come
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

// 16 bytes that begin at a column of a row, of which some may lie outside: those of the BLOCK
// columns from p * BLOCK on, so that only for the first and last of them this must be found out.
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

// Rows that LANES threads of a warp hold in registers, or all THREADS of a block, or CLUSTER blocks.
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
    const Index row = asked < n ? asked : n - 1;  // all threads of a warp meet
    const int column = rank * WIDTH - (K % WIDTH ? (int)(row * K % WIDTH) : 0);
    logits += row * K;
    out += row * K;

    Vector<T, WIDTH> z[PASSES];
#pragma unroll
    for (int p = 0; p < PASSES; p++)
        z[p] = load<K, BLOCK, T, WIDTH>(logits, p, p * BLOCK + column);
    // A thread's own largest logit comes off first, so that threads wait for each other only once.
    // It is never -inf, lest nothing but -inf be NaN.
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

// Rows longer than what is held: they are read twice, backwards the second time, because what was
// read last may still be in a cache (Milakov & Gimelshein 2018, "Online normalizer calculation").
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
