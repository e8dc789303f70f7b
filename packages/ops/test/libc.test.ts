import { assert, describe, it } from "@effect/vitest"

/** A C library without functions of these names. */
const without = (missing: RegExp) => {
  const found: Array<string> = []
  const func = (definition: string) => {
    const name = /(\w+)\(/.exec(definition)?.[1] ?? ""
    if (missing.test(name)) throw new Error(`Cannot find function '${name}' in shared library`)
    found.push(name)
    return () => 0
  }
  return { found, func }
}

describe.skipIf(process.platform !== "linux")("the functions of the C library", () => {
  it("are found where none has a name of its own for large files, as in musl", async () => {
    const { functionsOf } = await import("../src/internal/files/libc.ts")
    const musl = without(/64$/)
    const { renameat2 } = functionsOf(musl)
    assert.includeMembers(musl.found, [
      "getdents",
      "pread",
      "pwrite",
      "lseek",
      "sendfile",
      "ftruncate",
      "posix_fadvise",
      "statx"
    ])
    assert.isDefined(renameat2)
  })

  it("are those for large files where there are two of each", async () => {
    const { functionsOf } = await import("../src/internal/files/libc.ts")
    const glibc = without(/^$/)
    functionsOf(glibc)
    assert.includeMembers(glibc.found, ["getdents64", "pread64", "lseek64"])
    assert.notInclude(glibc.found, "pread")
  })

  it("may lack renameat2, and no other one", async () => {
    const { functionsOf } = await import("../src/internal/files/libc.ts")
    assert.isUndefined(functionsOf(without(/^renameat2$/)).renameat2)
    assert.throws(() => functionsOf(without(/^openat$/)), "openat")
  })
})
