# SPDX-License-Identifier: GPL-2.0-or-later
"""Instruction set features: one row for each, with its name in compilers, Gentoo, the kernel, and the audit's decoder.

Source: the predefined macros of ``gcc -march=NAME -dM -E`` (gcc(1), "x86 Options"); cpu_flags_* of ::gentoo's
profiles/desc/cpu_flags_{x86,arm,ppc}.desc; the x86-64 psABI, "Micro-Architecture Levels"; Linux,
arch/x86/include/asm/cpufeatures.h; ``rustc --print target-features``.
"""

from typing import NamedTuple


class Feature(NamedTuple):
    """One feature, identified by the macro that a compiler predefines for it."""

    macro: str
    """Without outer underscores: ``AVX2``."""
    use: str = ""
    """What follows ``cpu_flags_x86_``, ``cpu_flags_arm_`` or ``cpu_flags_ppc_``; empty if Gentoo has no such flag."""
    level: int = 0
    """The psABI level of x86-64 that adds it, 1 to 4; 0 for none."""
    option: str = ""
    """What follows ``-m`` in GCC and clang, if it is not the macro in lower case."""
    rust: str = ""
    """The name in ``-C target-feature`` of rustc, if it is not that of the option."""
    kernel: str = ""
    """The flag in /proc/cpuinfo, if it is not the macro in lower case, with or without underscores, or if compilers
    of the last years do not know the feature."""
    decoder: str = ""
    """The name that iced-x86 has for it; empty if the audit does not search for it."""
    aliases: tuple[str, ...] = ()
    """Macros of other compilers for the same."""
    parts: tuple[str, ...] = ()
    """Macros that some compilers predefine in addition."""
    hidden: bool = False
    """Hypervisors hide it from guests on CPUs that have it, and compilers emit it for a builtin only.
    ``-march=znver3`` has to be accepted in such a guest. Source: Linux, arch/x86/kvm/cpuid.c; gcc(1)."""
    not_emitted: str = ""
    """Why no code of a program needs it, although compilers predefine the macro."""

    @property
    def switch(self) -> str:
        """The option that enables it, without ``-m``."""
        return self.option or self.macro.lower()


X86 = (
    Feature("3dNOW", use="3dnow", decoder="D3NOW"),
    Feature("3dNOW_A", option="3dnowa", use="3dnowext", decoder="D3NOWEXT"),
    Feature("ABM", kernel="abm", not_emitted="GCC's name for LZCNT with POPCNT, which have macros of their own"),
    Feature("ADX", decoder="ADX"),
    Feature("AES", use="aes", decoder="AES"),
    Feature("AMX_BF16", option="amx-bf16", use="amx_bf16", decoder="AMX_BF16"),
    Feature("AMX_COMPLEX", option="amx-complex", kernel="amx_complex", decoder="AMX_COMPLEX"),
    Feature("AMX_FP16", option="amx-fp16", kernel="amx_fp16", decoder="AMX_FP16"),
    Feature("AMX_INT8", option="amx-int8", use="amx_int8", decoder="AMX_INT8"),
    Feature("AMX_TILE", option="amx-tile", use="amx_tile", decoder="AMX_TILE"),
    Feature("APX_F", option="apxf", parts=("CCMP", "CF", "EGPR", "JMPABS", "NDD", "NF", "PPX", "PUSH2POP2", "ZU")),
    Feature("AVX", use="avx", level=3, decoder="AVX"),
    Feature("AVX10_1", option="avx10.1", aliases=("AVX10_1_512",)),
    Feature("AVX10_2", option="avx10.2", aliases=("AVX10_2_512",)),
    Feature("AVX2", use="avx2", level=3, decoder="AVX2"),
    Feature("AVX5124FMAPS", use="avx512_4fmaps", kernel="avx512_4fmaps", decoder="AVX512_4FMAPS"),
    Feature("AVX5124VNNIW", use="avx512_4vnniw", kernel="avx512_4vnniw", decoder="AVX512_4VNNIW"),
    Feature("AVX512BF16", use="avx512_bf16", decoder="AVX512_BF16"),
    Feature("AVX512BITALG", use="avx512_bitalg", decoder="AVX512_BITALG"),
    Feature("AVX512BW", use="avx512bw", level=4, decoder="AVX512BW"),
    Feature("AVX512CD", use="avx512cd", level=4, decoder="AVX512CD"),
    Feature("AVX512DQ", use="avx512dq", level=4, decoder="AVX512DQ"),
    Feature("AVX512ER", use="avx512er", decoder="AVX512ER"),
    Feature("AVX512F", use="avx512f", level=4, decoder="AVX512F"),
    Feature("AVX512FP16", use="avx512_fp16", kernel="avx512_fp16", decoder="AVX512_FP16"),
    Feature("AVX512IFMA", use="avx512ifma", decoder="AVX512_IFMA"),
    Feature("AVX512PF", use="avx512pf", decoder="AVX512PF"),
    Feature("AVX512VBMI", use="avx512vbmi", decoder="AVX512_VBMI"),
    Feature("AVX512VBMI2", use="avx512_vbmi2", decoder="AVX512_VBMI2"),
    Feature("AVX512VL", use="avx512vl", level=4, decoder="AVX512VL"),
    Feature("AVX512VNNI", use="avx512_vnni", decoder="AVX512_VNNI"),
    Feature("AVX512VP2INTERSECT", use="avx512_vp2intersect", decoder="AVX512_VP2INTERSECT"),
    Feature("AVX512VPOPCNTDQ", use="avx512_vpopcntdq", decoder="AVX512_VPOPCNTDQ"),
    Feature("AVXIFMA", kernel="avx_ifma", decoder="AVX_IFMA"),
    Feature("AVXNECONVERT", decoder="AVX_NE_CONVERT"),
    Feature("AVXVNNI", use="avx_vnni", kernel="avx_vnni", decoder="AVX_VNNI"),
    Feature("AVXVNNIINT16", decoder="AVX_VNNI_INT16"),
    Feature("AVXVNNIINT8", decoder="AVX_VNNI_INT8"),
    Feature("BMI", use="bmi1", level=3, kernel="bmi1", decoder="BMI1", rust="bmi1"),
    Feature("BMI2", use="bmi2", level=3, decoder="BMI2"),
    Feature("CLDEMOTE", not_emitted="hint space 0F 1C: a no-op on CPUs without it"),
    Feature("CLFLUSHOPT", decoder="CLFLUSHOPT"),
    Feature("CLWB", decoder="CLWB"),
    Feature("CLZERO", hidden=True),
    Feature("CMOV"),
    Feature("CMPCCXADD", kernel="cmpccxadd", decoder="CMPCCXADD"),
    Feature("CMPXCHG"),
    Feature("CRC32", kernel="sse4_2"),
    Feature("CX16", level=2, decoder="CMPXCHG16B", rust="cmpxchg16b"),
    Feature("CX8"),
    Feature("ENQCMD", not_emitted="#GP until the kernel has given the process a PASID"),
    Feature("EVEX256", not_emitted="a vector width of AVX-512, which has macros of its own"),
    Feature("EVEX512", not_emitted="a vector width of AVX-512, which has macros of its own"),
    Feature("F16C", use="f16c", level=3, decoder="F16C"),
    Feature("FMA", use="fma3", level=3, decoder="FMA"),
    Feature("FMA4", use="fma4", decoder="FMA4"),
    Feature("FSGSBASE", decoder="FSGSBASE"),
    Feature("FXSR", not_emitted="fxsave, only by its builtin; every CPU with SSE has it"),
    Feature("GFNI", decoder="GFNI"),
    Feature("HRESET", not_emitted="privileged"),
    Feature("INVPCID", not_emitted="privileged"),
    Feature("KL", not_emitted="#UD until the kernel sets CR4.KL and loads a key, which Linux does not"),
    Feature("LAHF_SAHF", kernel="lahf_lm", option="sahf", rust="lahfsahf",
            not_emitted="sahf after x87 compares without cmov: never in 64-bit mode; every CPU has it in 32-bit mode"),
    Feature("LWP", decoder="LWP", hidden=True),
    Feature("LZCNT", level=3, kernel="abm", decoder="LZCNT"),
    Feature("MMX", use="mmx", level=1, decoder="MMX"),
    Feature("MOVBE", level=3, decoder="MOVBE"),
    Feature("MOVDIR64B", decoder="MOVDIR64B"),
    Feature("MOVDIRI", decoder="MOVDIRI"),
    Feature("MOVRS", kernel="movrs"),
    Feature("MWAIT", not_emitted="monitor and mwait are privileged"),
    Feature("MWAITX", hidden=True),
    Feature("PCLMUL", use="pclmul", kernel="pclmulqdq", decoder="PCLMULQDQ", rust="pclmulqdq"),
    Feature("PCONFIG", not_emitted="privileged"),
    Feature("PKU",
            not_emitted="#UD until the kernel sets CR4.PKE, so only after pkey_alloc(2); off in many virtual machines"),
    Feature("POPCNT", use="popcnt", level=2, decoder="POPCNT"),
    Feature("PREFETCHI", not_emitted="hint space 0F 18: a no-op on CPUs without it"),
    Feature("PRFCHW", kernel="3dnowprefetch"),
    Feature("PTWRITE", decoder="PTWRITE", hidden=True),
    Feature("RAOINT", decoder="RAO_INT"),
    Feature("RDPID", decoder="RDPID"),
    Feature("RDPRU", kernel="rdpru", hidden=True),
    Feature("RDRND", use="rdrand", kernel="rdrand", decoder="RDRAND", rust="rdrand"),
    Feature("RDSEED", decoder="RDSEED"),
    Feature("SERIALIZE", decoder="SERIALIZE"),
    Feature("SGX", not_emitted="enclu requires an enclave of the kernel's driver; newer CPUs of the same line lack it"),
    Feature("SHA", use="sha", kernel="sha_ni", decoder="SHA"),
    Feature("SHA512", kernel="sha512", decoder="SHA512"),
    Feature("SHSTK", not_emitted="rdssp is a no-op elsewhere; incssp runs only if rdssp has reported a shadow stack"),
    Feature("SM3", kernel="sm3", decoder="SM3"),
    Feature("SM4", kernel="sm4", decoder="SM4"),
    Feature("SSE", use="sse", level=1, decoder="SSE"),
    Feature("SSE2", use="sse2", level=1, decoder="SSE2"),
    Feature("SSE3", use="sse3", level=2, kernel="pni", decoder="SSE3"),
    Feature("SSE4A", use="sse4a", decoder="SSE4A"),
    Feature("SSE4_1", use="sse4_1", level=2, decoder="SSE4_1", option="sse4.1"),
    Feature("SSE4_2", use="sse4_2", level=2, kernel="sse4_2", decoder="SSE4_2", option="sse4.2"),
    Feature("SSSE3", use="ssse3", level=2, decoder="SSSE3"),
    Feature("TBM", decoder="TBM"),
    Feature("TSXLDTRK", decoder="TSXLDTRK", hidden=True),
    Feature("UINTR", not_emitted="#UD until the kernel sets CR4.UINTR, which Linux does not"),
    Feature("USER_MSR", option="usermsr", aliases=("USERMSR",), not_emitted="#GP until the kernel sets up its bitmap"),
    Feature("VAES", decoder="VAES"),
    Feature("VPCLMULQDQ", use="vpclmulqdq", decoder="VPCLMULQDQ"),
    Feature("WAITPKG", decoder="WAITPKG"),
    Feature("WBNOINVD", not_emitted="privileged"),
    Feature("WIDEKL", not_emitted="as KL"),
    Feature("XOP", use="xop", decoder="XOP"),
    Feature("XSAVES", not_emitted="privileged"),
)  # fmt: skip
"""Features of x86. Not listed are those that only the table of compilers needs: their macro is their name everywhere.

``decoder`` is empty for what every x86-64 has (CX8, SYSCALL), what is privileged (VMX, SMAP), what identifies a CPU
or measures time (CPUID, XGETBV, RDTSCP), hints that older CPUs ignore (ENDBR64, PREFETCHW, PAUSE, HLE, MPX), RTM, which
firmware disables on CPUs that have it, and CPUs that no compiler targets (PADLOCK, CYRIX, KNC).

A feature counts unless ``not_emitted`` gives a reason, also if only a builtin uses it (clzero, mwaitx, rdpru): a
program may use the builtin wherever the macro is defined. Without these reasons even -march=skylake would be
rejected on machines that run it. Source: Intel SDM volume 2 (privilege, #UD conditions, "treated as NOP" of each
instruction), AMD APM volumes 2 and 3; gcc/config/i386/i386.md and i386-expand.cc (what is emitted without a
builtin)."""
ARM = (
    Feature("ARM_FEATURE_AES", use="aes"),
    Feature("ARM_FEATURE_CRC32", use="crc32"),
    Feature("ARM_FEATURE_DOTPROD", use="asimddp"),
    Feature("ARM_FEATURE_DSP", use="edsp"),
    Feature("ARM_FEATURE_MATMUL_INT8", use="i8mm"),
    Feature("ARM_FEATURE_SHA2", use="sha2"),
    Feature("ARM_FEATURE_SVE", use="sve"),
    Feature("ARM_FEATURE_SVE2", use="sve2"),
    Feature("ARM_NEON", use="neon"),
    Feature("thumb2", use="thumb2"),
)
PPC = (
    Feature("ALTIVEC", use="altivec"),
    Feature("POWER8_VECTOR", use="vsx2"),
    Feature("POWER9_VECTOR", use="vsx3"),
    Feature("VSX", use="vsx"),
)

NOT_EMITTED = {feature.macro: feature.not_emitted for feature in X86 if feature.not_emitted}
"""A macro -> why no code of a program needs the feature."""
BASELINE = frozenset(feature.macro for feature in X86 if feature.level == 1)
"""Macros of every x86-64, but not of every i686."""
