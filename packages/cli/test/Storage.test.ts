import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Storage from "../src/machine/Storage.ts"

describe("Storage", () => {
  it("tells what a mount is on", () => {
    const kind = (type: string, rotational = false) => Storage.kindOf({ device: "8:1", type }, () => rotational)
    assert.deepStrictEqual(["ext4", "fuseblk"].map((type) => kind(type)), ["disk", "disk"])
    assert.deepStrictEqual(["ext4", "btrfs"].map((type) => kind(type, true)), ["rotational", "rotational"])
    assert.deepStrictEqual(["nfs4", "cifs", "9p"].map((type) => kind(type, true)), ["network", "network", "network"])
    assert.deepStrictEqual(["fuse.sshfs", "fuse"].map((type) => kind(type)), ["userSpace", "userSpace"])
    assert.strictEqual(kind("tmpfs", true), "memory")
  })

  it.effect("is told of this machine", () =>
    Effect.gen(function*() {
      const found = yield* Storage.at("/proc/self")
      assert.deepStrictEqual(Option.map(found, ({ type }) => type), Option.some("proc"))
    }))
})
