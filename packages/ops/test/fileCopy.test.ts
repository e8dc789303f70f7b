import { assert, describe, it } from "@effect/vitest"
import { type Call, type Calls, code, failed, immediate } from "@fanout/ops/Calls"
import type { Property } from "@fanout/ops/CopyOptions"
import * as FilePath from "@fanout/ops/FilePath"
import type * as Files from "@fanout/ops/Files"
import * as node from "../src/internal/files/nodeCalls.ts"
import { now } from "../src/internal/files/routine.ts"
import { FileCopy } from "../src/internal/units/fileCopy.ts"

const statOf = (kind: "file" | "link"): Files.FileStat => ({
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

/** Owner and group that copies have been made with. */
const ownNow: Files.Owner = { owner: 0, group: 0 }

type Codes = Partial<Record<"setOwner" | "setOwnerAt" | "setTimesAt" | "unlink", string>>

/** Copies a file or a link, where some calls fail, and tells what was done, and what that came to. */
const copy = (
  kind: "file" | "link",
  codes: Codes,
  keeps: ReadonlyArray<Property> = ["owner", "times"]
): ReadonlyArray<string> => {
  const told: Array<string> = []
  const tell = <A>(what: string, value: A): Call<A> =>
    immediate(() => {
      told.push(what)
      return value
    })
  const by = (call: keyof Codes, what: string): Call<void> => {
    const name = codes[call]
    told.push(what)
    return name === undefined ? immediate(() => {}) : failed(code(name))
  }
  const nameOf = ({ group, owner }: Files.Owner) => `${owner === process.geteuid?.() ? "own" : owner} ${group}`
  const calls: Calls = {
    ...node.calls,
    open: () => immediate(() => 3),
    createAs: () => tell("create", 4),
    close: (descriptor) => tell(`close ${descriptor}`, undefined),
    closeNow: (descriptor) => void told.push(`close ${descriptor}`),
    listAttributes: () => immediate(() => []),
    read: () => immediate(() => 0),
    stat: (descriptor) => immediate(() => ({ ...statOf(kind), ...descriptor === 4 ? ownNow : {} })),
    setOwner: (_, owner) => by("setOwner", `owner ${nameOf(owner)}`),
    setMode: () => immediate(() => {}),
    setTimes: () => immediate(() => {}),
    lstat: () => immediate(() => ({ ...statOf(kind), ...ownNow })),
    readLink: () => immediate(() => FilePath.make("file")),
    makeLink: () => tell("make", undefined),
    setOwnerAt: (_, __, owner) => by("setOwnerAt", `owner ${nameOf(owner)}`),
    setTimesAt: () => by("setTimesAt", "times"),
    unlink: () => by("unlink", "unlink")
  }
  const files = new FileCopy(calls, { keeps: new Set(keeps), isMove: false, mayGoOn: () => true, take: undefined })
  const name = FilePath.make("name")
  const copied = now(() => files.copy({ from: 1, name, stat: statOf(kind), to: 2, as: name }))
  return [...told, copied, ...files.lost.map((property) => `${property} lost`)]
}

describe("FileCopy", () => {
  const owner = "owner 4321 1234"
  const lost = [owner, "owner own 1234"]

  it("takes a link back that can't be as it is to be, and tells where that fails", () => {
    const made = { setOwnerAt: ["make", owner], setTimesAt: ["make", owner, "times"] }
    for (const call of ["setOwnerAt", "setTimesAt"] as const) {
      const failed = [...made[call], "unlink"]
      assert.deepStrictEqual(copy("link", { [call]: "EROFS" }), [...failed, "left"])
      assert.deepStrictEqual(copy("link", { [call]: "EROFS", unlink: "ENOENT" }), [...failed, "left"])
      assert.deepStrictEqual(copy("link", { [call]: "EROFS", unlink: "EACCES" }), [...failed, "spoiled"])
    }
  })

  it("takes a file back that can't be as it is to be, and closes nothing a second time", () => {
    const failed = ["create", owner, "close 4", "unlink"]
    assert.deepStrictEqual(copy("file", { setOwner: "EIO" }), [...failed, "close 3", "left"])
  })

  it("gives a copy that can't have the owner of its source at least the group, and tells that", () => {
    const file = ["close 4", "close 3", "copied", "owner lost"]
    // In a user namespace there may be no number for it.
    for (const code of ["EPERM", "EINVAL"]) {
      assert.deepStrictEqual(copy("file", { setOwner: code }), ["create", ...lost, ...file])
      assert.deepStrictEqual(copy("link", { setOwnerAt: code }), ["make", ...lost, "times", "copied", "owner lost"])
    }
  })

  it("leaves links that are as they are to be, and owners that are not kept", () => {
    assert.deepStrictEqual(copy("link", {}), ["make", owner, "times", "copied"])
    assert.deepStrictEqual(copy("link", {}, ["times"]), ["make", "times", "copied"])
  })
})
