import { assert, describe, it } from "@effect/vitest"
import * as FilePath from "@fanout/ops/FilePath"
import * as MountTable from "../src/internal/files/mountTable.ts"

const table = (...mounts: ReadonlyArray<readonly [point: string, type: string]>): string =>
  mounts.map(([point, type], i) => `${i} 1 0:2${i} / ${point} rw,relatime shared:1 - ${type} source rw\n`).join("")

const isLocal = (path: string, ...mounts: ReadonlyArray<readonly [point: string, type: string]>): boolean =>
  MountTable.isLocalThroughout(MountTable.parse(table(...mounts)), FilePath.make(path))

describe("mounts", () => {
  it("reads points and types, whatever there is between them", () => {
    const lines = [
      "22 27 0:21 / /proc rw,relatime - proc proc rw",
      "36 35 98:0 /mnt1 /a\\040b\\134c rw master:1 shared:2 - ext3 /dev/root rw,errors=continue",
      "37 35 98:0 / /\xc3\xa9 rw - ext4 /dev/root rw",
      "nonsense",
      ""
    ]
    assert.deepStrictEqual(MountTable.parse(lines.join("\n")), [
      { point: FilePath.make("/proc"), type: "proc" },
      { point: FilePath.make("/a b\\c"), type: "ext3" },
      { point: FilePath.make("/é"), type: "ext4" }
    ])
  })

  it("knows where a walk meets nothing but local file systems", () => {
    const root = ["/", "ext4"] as const
    assert.isTrue(isLocal("/home", root))
    assert.isTrue(isLocal("/", root))
    assert.isTrue(isLocal("/home/a", root, ["/home", "btrfs"]))
    assert.isTrue(isLocal("/home", root, ["/home", "btrfs"], ["/homes", "nfs"], ["/other", "nfs"]))
    assert.isFalse(isLocal("/home", root, ["/home/a", "ext4"]), "mounted in there")
    assert.isFalse(isLocal("/", root, ["/proc", "proc"]), "mounted in there")
    assert.isFalse(isLocal("/home/a", root, ["/home", "nfs4"]), "not local")
    assert.isFalse(isLocal("/home/a/b", root, ["/home", "nfs4"], ["/home/a", "ext4"]), "through what is not local")
    assert.isFalse(isLocal("/home", root, ["/home", "ext4"], ["/home", "fuse"]), "another one over it")
    assert.isFalse(isLocal("/home"), "no table")
  })
})
