import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Machine from "../src/machine/Machine.ts"

const machine: Machine.Machine = { cores: 8, memoryBytes: 2 ** 34, descriptors: 1024 }
const on = (kind: Machine.StorageKind): Machine.Storage => ({
  kind,
  device: "8:1",
  point: "/",
  type: "ext4",
  source: "/dev/sda"
})
const sizeOf = (name: string, sizes: ReadonlyArray<Machine.PoolSize>) => sizes.find((one) => one.name === name)

describe("Machine", () => {
  it("sizes pools by cores, and by the slowest storage", () => {
    assert.strictEqual(sizeOf("cpu", Machine.poolSizes(machine, []))?.size, 8)
    const io = (...kinds: ReadonlyArray<Machine.StorageKind>) =>
      sizeOf("io", Machine.poolSizes(machine, kinds.map(on)))?.size
    assert.deepStrictEqual([io(), io("memory", "disk"), io("disk", "network"), io("rotational", "disk")], [
      16,
      16,
      123,
      4
    ])
  })

  it("leaves eight descriptors to each task, beside what the process needs itself, and says so", () => {
    const few = { ...machine, descriptors: 64 }
    assert.deepStrictEqual(sizeOf("io", Machine.poolSizes(few, [])), {
      name: "io",
      size: 3,
      bounds: { least: 3, most: 3 },
      why: "no more than 64 descriptors may be open, 8 a task"
    })
    assert.deepStrictEqual(
      [64, 168, 1024, 20].map((descriptors) => Machine.filesWithin({ ...machine, descriptors }, 16)),
      [3, 16, 16, 1]
    )
    assert.strictEqual(Machine.filesWithin(machine, 1024), 123)
    assert.strictEqual(Machine.filesWithin({ ...machine, descriptors: undefined }, 1024), 1024)
  })

  it("reads the limit of descriptors", () => {
    const limits = (most: string) =>
      `Limit   Soft Limit   Hard Limit   Units\nMax open files   ${most}   1048576   files\n`
    assert.strictEqual(Machine.descriptorsIn(limits("1024")), 1024)
    assert.isUndefined(Machine.descriptorsIn(limits("unlimited")))
    assert.isUndefined(Machine.descriptorsIn(""))
  })

  it("tells what a mount is on", () => {
    const kind = (type: string, rotational = false) => Machine.kindOf({ device: "8:1", type }, () => rotational)
    assert.deepStrictEqual(["ext4", "fuseblk"].map((type) => kind(type)), ["disk", "disk"])
    assert.deepStrictEqual(["ext4", "btrfs"].map((type) => kind(type, true)), ["rotational", "rotational"])
    assert.deepStrictEqual(["nfs4", "cifs", "9p"].map((type) => kind(type, true)), ["network", "network", "network"])
    assert.deepStrictEqual(["fuse.sshfs", "fuse"].map((type) => kind(type)), ["userSpace", "userSpace"])
    assert.strictEqual(kind("tmpfs", true), "memory")
  })

  it.effect("tells what a path of this machine is on", () =>
    Effect.gen(function*() {
      const found = yield* Machine.storageAt("/proc/self")
      assert.deepStrictEqual(Option.map(found, ({ type }) => type), Option.some("proc"))
    }))

  it.effect("is this one", () =>
    Effect.gen(function*() {
      const machine = yield* Machine.read
      assert.isAtLeast(machine.cores, 1)
      assert.isAtLeast(machine.memoryBytes, 2 ** 26)
    }))
})
