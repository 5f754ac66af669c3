// As much of CUDA as softmax.cu needs, on a processor: every thread of a cluster is a fibre that
// runs until it must wait for others. They take turns in random order, so that a forgotten barrier
// shows; shared memory begins as NaN; and behind what a kernel may read or write no memory is.
#define EMULATED
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <vector>

#define __device__
#define __forceinline__ inline

namespace emulated {

struct Barrier {
    int size = 0, arrived = 0, phase = 0;
};

struct Warp {
    Barrier barrier;
    uint64_t slots[32];
};

struct Block {
    Barrier barrier;
    std::vector<Warp> warps;
    std::vector<double> memory;  // for its alignment
    bool begun = false;
    unsigned char* bytes() { return (unsigned char*)memory.data(); }
};

struct Fibre {
    ucontext_t context;
    std::unique_ptr<char[]> stack;
    int thread, block, ticket = 0;
    Block* home;
    bool done = false, told = false;
};

inline ucontext_t scheduler;
inline Fibre* now;
inline std::vector<Block> cluster;
inline Barrier cluster_barrier;
inline long progress;
inline std::function<void(unsigned char*)> kernel;

inline void yield() { swapcontext(&now->context, &scheduler); }

inline int arrive(Barrier& barrier) {
    progress++;
    const int phase = barrier.phase;
    if (++barrier.arrived == barrier.size) barrier.arrived = 0, barrier.phase++;
    return phase;
}

inline void wait(Barrier& barrier) {
    const int phase = arrive(barrier);
    while (barrier.phase == phase) yield();
}

inline Warp& warp() { return now->home->warps[now->thread / 32]; }

inline void begin() {
    now->home->begun = true;
    kernel(now->home->bytes());
    now->done = true;
    progress++;
    yield();
}

// Runs a kernel; false where its threads wait for each other for ever.
inline bool run(int n_blocks, int n_threads, int n_cluster, int n_bytes) {
    static std::mt19937 random;
    for (int first = 0; first < n_blocks; first += n_cluster) {
        cluster.assign(n_cluster, Block{});
        cluster_barrier = {n_cluster * n_threads};
        std::vector<Fibre> fibres(n_cluster * n_threads);
        std::vector<int> order;
        for (int b = 0; b < n_cluster; b++) {
            Block& block = cluster[b];
            block.barrier.size = n_threads;
            block.warps.resize(n_threads / 32);
            for (Warp& each : block.warps) each.barrier.size = 32;
            block.memory.assign(n_bytes / 8 + 2, std::nan(""));
            for (int t = 0; t < n_threads; t++) {
                Fibre& fibre = fibres[b * n_threads + t];
                constexpr size_t SIZE = 1 << 15;
                fibre.stack.reset(new char[SIZE]);
                fibre.thread = t, fibre.block = first + b, fibre.home = &block;
                getcontext(&fibre.context);
                fibre.context.uc_stack.ss_sp = fibre.stack.get();
                fibre.context.uc_stack.ss_size = SIZE;
                makecontext(&fibre.context, begin, 0);
                order.push_back(b * n_threads + t);
            }
        }
        while (!order.empty()) {
            const long before = progress;
            std::shuffle(order.begin(), order.end(), random);
            for (int i : order) {
                now = &fibres[i];
                swapcontext(&scheduler, &now->context);
            }
            order.erase(std::remove_if(order.begin(), order.end(),
                                       [&](int i) { return fibres[i].done; }), order.end());
            if (progress == before) return false;
        }
    }
    return true;
}

// Memory from 64 bytes before a multiple of them, at whose end there is no more: who goes on dies.
struct Guarded {
    Guarded(size_t size) : page(sysconf(_SC_PAGESIZE)), whole((size / page + 1) * page) {
        start = (char*)mmap(nullptr, whole + page, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        mprotect(start + whole, page, PROT_NONE);
        data = start + whole - (size + 15) / 16 * 16;
    }
    ~Guarded() { munmap(start, whole + page); }
    size_t page, whole;
    char *start, *data;
};

}  // namespace emulated

struct Place {
    int x;
};
#define threadIdx (Place{emulated::now->thread})
#define blockIdx (Place{emulated::now->block})

inline void __syncwarp() { emulated::wait(emulated::warp().barrier); }
inline void __syncthreads() { emulated::wait(emulated::now->home->barrier); }

template <typename T>
T __shfl_xor_sync(unsigned, T value, int distance) {
    emulated::Warp& warp = emulated::warp();
    const int lane = emulated::now->thread % 32;
    memcpy(&warp.slots[lane], &value, sizeof(T));
    __syncwarp();
    memcpy(&value, &warp.slots[lane ^ distance], sizeof(T));
    __syncwarp();
    return value;
}

inline float __int_as_float(unsigned bits) {
    float value;
    memcpy(&value, &bits, 4);
    return value;
}

inline double __longlong_as_double(uint64_t bits) {
    double value;
    memcpy(&value, &bits, 8);
    return value;
}

// Of telling and waiting, each must follow the other.
inline void tell_cluster() {
    if (emulated::now->told) abort();
    emulated::now->told = true;
    emulated::now->ticket = emulated::arrive(emulated::cluster_barrier);
}

inline void wait_for_cluster() {
    if (!emulated::now->told) abort();
    while (emulated::cluster_barrier.phase == emulated::now->ticket) emulated::yield();
    emulated::now->told = false;
}

template <typename T>
void put(T* here, int block, T value) {
    if (!emulated::cluster[block].begun) abort();  // its memory may still be another's
    const auto offset = (unsigned char*)here - emulated::now->home->bytes();
    *(T*)(emulated::cluster[block].bytes() + offset) = value;
}

template <typename T, typename V>
void write(T* out, const V& z) {
    if ((uintptr_t)out % 16) abort();
    *(V*)out = z;
}

// A function for Python: the softmax of n rows by a function of softmax.cu.
#define EMULATE(name, T, K, function, threads, rows, cluster, memory)                            \
    extern "C" int name(T* out, const T* logits, long long n) {                                  \
        const size_t size = n * K * sizeof(T);                                                   \
        emulated::Guarded from(size), to(size);                                                  \
        memcpy(from.data, logits, size);                                                         \
        memset(to.data, 0xff, size);                                                             \
        emulated::kernel = [&](unsigned char* m) { function((T*)to.data, (T*)from.data, n, m); }; \
        const bool ended = emulated::run((n + rows - 1) / rows * cluster, threads, cluster, memory); \
        memcpy(out, to.data, size);                                                              \
        return ended;                                                                            \
    }
