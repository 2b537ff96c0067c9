// job.h: reads a launch from a file, runs it, writes counts and arrays back.
#pragma once
namespace emu {
// An array ends where a guard page begins (but for at most 15 bytes, which are checked afterwards),
// so that even an unwatched run stops at the first access outside.
static Region map_array(size_t bytes, int item, int argument) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE), body = (bytes + page - 1) / page * page;
    if (!body) body = page;
    Region r;
    r.mapped = body + 2 * page;
    r.mapping = (char *)mmap(nullptr, r.mapped, PROT_NONE, MAP_PRIVATE | MAP_ANON, -1, 0);
    mprotect(r.mapping + page, body, PROT_READ | PROT_WRITE);
    memset(r.mapping + page, 0xA5, body);
    r.slack = (16 - bytes % 16) % 16;
    r.base = r.mapping + page + body - bytes - r.slack;
    r.bytes = bytes;
    r.argument = argument;
    while (r.shift < 2 && (item >> (r.shift + 1)) && item % (2 << r.shift) == 0) r.shift++;
    if (tracing) r.cells.resize((bytes >> r.shift) + 1);
    return r;
}
static void check_margins() {
    anonymous = true;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (auto &r : arrays) {
        for (char *p = r.mapping + page; p < r.base; p++)
            if ((unsigned char)*p != 0xA5) report_error("the kernel wrote " + count_of(r.base - p, "byte") + " before the start of " + region_name(r), nullptr, 0);
        for (size_t i = 0; i < r.slack; i++)
            if ((unsigned char)r.base[r.bytes + i] != 0xA5) report_error("the kernel wrote past the end of " + region_name(r), nullptr, 0);
    }
}
static void on_signal(int number, siginfo_t *info, void *) {
    if (!in_kernel) _exit(4);
    if (number == SIGALRM) report_error("still running when the time limit was reached",
                                              blocks_since_access < 1000 ? last_access : last_block, 0);
    if (number == SIGFPE) report_error("division of an integer by zero", last_access, 0);
    char *a = (char *)info->si_addr, *stack = fibers[current].stack;
    if (a < stack && a > stack - 65536) report_error("the thread's local arrays do not fit its stack", last_access, 0);
    report_error("out of bounds: this thread touches a byte " + where_outside(a, 1), last_access, 0);
}
struct Reader {
    FILE *f;
    long number() {
        long v;
        if (fscanf(f, "%ld", &v) != 1) _exit(5);
        return v;
    }
    std::string word() {
        char s[256];
        if (fscanf(f, "%255s", s) != 1) _exit(5);
        return s;
    }
    void bytes(void *p, size_t n) {
        if (n && fread(p, 1, n, f) != n) _exit(5);
    }
};
static void run_grid() {
    std::vector<unsigned char> room(dynamic_size + 256);
    dynamic_shared = (unsigned char *)(((uintptr_t)room.data() + 127) & ~(uintptr_t)127);
    shared_regions[0].base = emu_begin, shared_regions[0].bytes = emu_begin ? emu_end - emu_begin : 0;
    shared_regions[0].argument = -1;
    shared_regions[1].base = (char *)dynamic_shared, shared_regions[1].bytes = dynamic_size;
    shared_regions[1].argument = -2;
    for (auto &r : shared_regions) r.cells.resize(tracing ? r.bytes : 0);
    for (unsigned z = 0; z < gridDim.z; z++)
        for (unsigned y = 0; y < gridDim.y; y++)
            for (unsigned x = 0; x < gridDim.x; x++) {
                blockIdx = dim3(x, y, z);
                block_number++, epoch++, blocks_run++;
                for (auto &r : shared_regions)
                    if (r.bytes) memset(r.base, 0xff, r.bytes);
                run_block();
            }
}
static int run_job(const char *job) {
    Reader in = {fopen(job, "rb")};
    if (!in.f) return 5;
    std::string name = in.word();
    kernel_name = name.c_str();
    for (Kernel *k = emu_kernels; k->name; k++)
        if (name == k->name) kernel_call = k->call;
    if (!kernel_call) return 6;
    unsigned *dims[6] = {&gridDim.x, &gridDim.y, &gridDim.z, &blockDim.x, &blockDim.y, &blockDim.z};
    for (auto d : dims) *d = (unsigned)in.number();
    dynamic_size = in.number();
    int schedule = (int)in.number();
    reverse_order = schedule & 1, warp_ahead = schedule & 2, early_copies = schedule & 4;
    tracing = in.number(), recording = in.number();
    unsigned seconds = (unsigned)in.number();
    long count = in.number();
    struct Slot { char kind; long bytes, item, entries; };
    std::vector<Slot> slots;
    for (long i = 0; i < count; i++) {
        Slot s;
        s.kind = in.word()[0], s.bytes = in.number(), s.item = in.number(), s.entries = in.number();
        slots.push_back(s);
    }
    in.word();  // "data", then one newline, then the bytes
    fgetc(in.f);
    // s: a scalar; a: an array; r: an array seen before; l: a list of arrays, whose members follow as m
    arrays.reserve(count);
    std::vector<std::vector<char>> scalars(count);
    std::vector<std::vector<void *>> tables;
    tables.reserve(count);
    std::vector<void **> pointers;
    int argument = 0;
    for (long i = 0; i < count; i++) {
        const Slot &s = slots[i];
        if (s.kind == 's') {
            scalars[i].resize(16);
            in.bytes(scalars[i].data(), s.bytes);
            kernel_arguments.push_back(scalars[i].data());
            argument++;
        } else if (s.kind == 'r') {
            tables.push_back({arrays[s.entries].base});
            kernel_arguments.push_back(tables.back().data());
            argument++;
        } else if (s.kind == 'l') {
            Region r = map_array(s.entries * sizeof(void *), sizeof(void *), argument++);
            arrays.push_back(std::move(r));
            pointers.push_back((void **)arrays.back().base);
            tables.push_back({arrays.back().base});
            kernel_arguments.push_back(tables.back().data());
        } else {
            arrays.push_back(map_array(s.bytes, (int)s.item, s.kind == 'a' ? argument++ : argument - 1));
            in.bytes(arrays.back().base, s.bytes);
            if (s.kind == 'm') *pointers.back()++ = arrays.back().base;
            else tables.push_back({arrays.back().base}), kernel_arguments.push_back(tables.back().data());
        }
    }
    fclose(in.f);
    threads = blockDim.x * blockDim.y * blockDim.z;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    fibers.resize(threads);
    for (auto &f : fibers) {
        f.stack = (char *)mmap(nullptr, STACK + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);
        mprotect(f.stack, page, PROT_NONE);
        f.stack += page;
    }
    warp_epochs.assign((threads + 31) / 32, 0);
    fragments.resize((threads + 31) / 32);
    logs.resize(threads), copies.resize(threads), copy_group.assign(threads, 0);
    alarm(seconds);
    run_grid();
    alarm(0);
    check_margins();

    FILE *out = fopen(result_path, "wb");
    fprintf(out, "ok\n%ld %ld %ld %ld\n%zu\n", block_barriers, warp_barriers, blocks_run, uncoalesced, sites.size());
    for (auto &s : sites)
        fprintf(out, "%x %d %ld %ld %ld\n", s.first.first, s.first.second, s.second.requests, s.second.cost, s.second.ideal);
    fprintf(out, "%zu\n", records.size());
    fwrite(records.data(), sizeof(Record), records.size(), out);
    size_t next = 0;
    for (auto &s : slots) {
        if (s.kind == 's' || s.kind == 'r') continue;
        Region &r = arrays[next++];
        if (s.kind != 'l') fwrite(r.base, 1, r.bytes, out);
    }
    fclose(out);
    return 0;
}
}  // namespace emu

int main(int argc, char **argv) {
    if (argc != 3) return 5;
    emu::result_path = argv[2];
    static char alternate[64 * 1024];
    stack_t stack = {};
    stack.ss_sp = alternate, stack.ss_size = sizeof alternate;
    sigaltstack(&stack, nullptr);
    struct sigaction action = {};
    action.sa_sigaction = emu::on_signal;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    for (int s : {SIGSEGV, SIGBUS, SIGFPE, SIGALRM}) sigaction(s, &action, nullptr);
    int status = emu::run_job(argv[1]);
    fflush(nullptr);
    _exit(status);
}
