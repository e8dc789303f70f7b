import { assert, describe, it } from "@effect/vitest"
import * as FilePath from "@fanout/ops/FilePath"
import type * as Files from "@fanout/ops/Files"
import { copyEach } from "../src/internal/calls/copyEach.ts"
import * as nodeCalls from "../src/internal/calls/nodeCalls.ts"
import type { SystemCalls } from "../src/internal/calls/systemCalls.ts"
import { copierOf } from "./copier.ts"

const stat = (kind: "file" | "link"): Files.FileStat => ({
  kind,
  sizeBytes: 0,
  allocatedBytes: 0,
  mode: 0o644,
  owner: 4321,
  group: 1234,
  device: 1n,
  inode: 1n,
  links: 1,
  accessedNanos: 1n,
  modifiedNanos: 1n,
  changedNanos: 1n,
  bornNanos: 1n
})

/** Copies a file and two links, where some calls fail for the first link, and tells what was done then. */
const copy = (
  codes: Partial<Record<"setOwner" | "setOwnerAt" | "setTimesAt" | "unlink", string>>
): ReadonlyArray<string> => {
  const told: Array<string> = []
  const codeOf = (call: keyof typeof codes, name: string) => name === "link" ? codes[call] : undefined
  const calls: SystemCalls = {
    ...nodeCalls.calls.atOnce,
    copyPlain: (_, done) => done(undefined, false),
    lstat: (_, name, done) => done(undefined, stat(name === "file" ? "file" : "link")),
    open: (_, __, mode, done) => done(undefined, mode === "read" ? 3 : 4),
    close: (descriptor, done) => {
      told.push(`close ${descriptor}`)
      done(undefined, undefined)
    },
    listAttributes: (_, done) => done(undefined, []),
    read: (_, __, ___, done) => done(undefined, 0),
    stat: (_, done) => done(undefined, stat("file")),
    setOwner: (_, owner, group, done) => {
      if (codes.setOwner !== undefined) told.push(`owner ${owner === process.geteuid?.() ? "own" : owner} ${group}`)
      done(codes.setOwner, undefined)
    },
    setMode: (_, __, done) => done(undefined, undefined),
    setTimes: (_, __, done) => done(undefined, undefined),
    readLink: (_, __, done) => done(undefined, FilePath.make("file")),
    makeLink: (_, __, name, done) => {
      told.push(`make ${name}`)
      done(undefined, undefined)
    },
    setOwnerAt: (_, name, __, ___, done) => done(codeOf("setOwnerAt", name), undefined),
    setTimesAt: (_, name, __, done) => done(codeOf("setTimesAt", name), undefined),
    unlink: (_, name, done) => {
      told.push(`unlink ${name}`)
      done(codeOf("unlink", name), undefined)
    }
  }
  const copier = copierOf({
    isOwn: true,
    copied: () => void told.push("copied"),
    ownerLost: () => void told.push("owner lost"),
    spoiled: () => void told.push("spoiled")
  })
  copyEach({
    calls,
    from: 1,
    to: 2,
    names: ["file", "link", "other"].map(FilePath.make),
    refuse: () => undefined,
    copier,
    fail: (name, call, code, isCopy) => void told.push(`${call} ${name} ${code} ${isCopy}`),
    done: (count) => void told.push(`done ${count}`)
  })
  return told
}

describe("copyEach", () => {
  const file = ["close 4", "copied", "close 3"]
  const other = ["make other", "copied", "done 3"]

  it.each([["setOwnerAt", "lchown"], ["setTimesAt", "lutimes"]] as const)(
    "takes a link back for which %s fails, and closes nothing a second time",
    (call, name) => {
      const failed = [...file, "make link", `${name} link EROFS true`, "unlink link"]
      assert.deepStrictEqual(copy({ [call]: "EROFS" }), [...failed, ...other])
      assert.deepStrictEqual(copy({ [call]: "EROFS", unlink: "ENOENT" }), [...failed, ...other])
      assert.deepStrictEqual(copy({ [call]: "EROFS", unlink: "EACCES" }), [...failed, "spoiled", ...other])
    }
  )

  it("gives a copy that can't have the owner of its source at least the group, and tells that", () => {
    const tried = ["owner 4321 1234", "owner own 1234", "owner lost"]
    assert.deepStrictEqual(copy({ setOwner: "EPERM" }), [...tried, ...file, "make link", "copied", ...other])
    assert.include(copy({ setOwner: "EIO" }), "fchown file EIO true")
  })

  it("copies a link that can't have the owner of its source, and tells that", () => {
    assert.deepStrictEqual(copy({ setOwnerAt: "EPERM" }), [...file, "make link", "owner lost", "copied", ...other])
  })

  it("leaves links that are as they are to be", () => {
    assert.deepStrictEqual(copy({}), [...file, "make link", "copied", ...other])
  })
})
