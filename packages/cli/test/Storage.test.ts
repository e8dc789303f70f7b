import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Storage from "../src/Storage.ts"

describe("Storage", () => {
  it("tells what a mount is on", () => {
    const kind = (type: string, rotational = false) => Storage.kindOf({ device: "8:1", type }, () => rotational)
    assert.deepStrictEqual(["ext4", "fuseblk"].map((type) => kind(type)), ["disk", "disk"])
    assert.deepStrictEqual(["ext4", "btrfs"].map((type) => kind(type, true)), ["rotational", "rotational"])
    assert.deepStrictEqual(["nfs4", "cifs", "9p"].map((type) => kind(type, true)), ["network", "network", "network"])
    assert.deepStrictEqual(["fuse.sshfs", "fuse"].map((type) => kind(type)), ["userSpace", "userSpace"])
    assert.strictEqual(kind("tmpfs", true), "memory")
  })

  it("finds the mount that a path is in", () => {
    const mounts = [
      "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw",
      "40 22 0:30 / /mnt/my\\040disk rw - fuseblk /dev/sdb1 rw",
      "41 22 0:31 / /mnt rw - tmpfs tmpfs rw",
      "42 22 0:32 / /home/user rw shared:7 master:1 - fuse.sshfs host: rw",
      "43 22 0:33 / /home/user rw - nfs4 server: rw",
      ""
    ].join("\n")
    assert.strictEqual(Storage.mountOf(mounts, "/mnt/my disk/jobs.db")?.type, "fuseblk")
    assert.strictEqual(Storage.mountOf(mounts, "/mnt/my disks")?.type, "tmpfs")
    assert.strictEqual(Storage.mountOf(mounts, "/home/user")?.type, "nfs4")
    assert.strictEqual(Storage.mountOf(mounts, "/home/username")?.type, "ext4")
    assert.isUndefined(Storage.mountOf("", "/home"))
  })

  it.effect("is told of this machine", () =>
    Effect.gen(function*() {
      const found = yield* Storage.at("/proc/self")
      assert.deepStrictEqual(Option.map(found, ({ type }) => type), Option.some("proc"))
    }))
})
