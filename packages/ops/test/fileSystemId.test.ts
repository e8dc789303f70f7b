import { assert, describe, it } from "@effect/vitest"
import * as FileSystemId from "../src/internal/files/fileSystemId.ts"

const statfs = (type: bigint, id: bigint): Buffer => {
  const bytes = Buffer.alloc(FileSystemId.statfsBytes)
  bytes.writeBigUInt64LE(type, 0)
  bytes.writeBigUInt64LE(id, 56)
  return bytes
}

const uuid = (length: number, byte: number): Buffer => {
  const bytes = Buffer.alloc(FileSystemId.uuidBytes)
  bytes[0] = length
  return bytes.fill(byte, 1, 17)
}

describe("FileSystemId", () => {
  it("names file systems whose id is made of a UUID, each kind apart", () => {
    assert.strictEqual(FileSystemId.ofStatfs(statfs(0xef53n, 35n)), "ext-z")
    assert.strictEqual(FileSystemId.ofStatfs(statfs(0x9123683en, 2n ** 64n - 1n)), "btrfs-3w5e11264sgsf")
    assert.strictEqual(FileSystemId.ofStatfs(statfs(0x01021994n, 1n)), "tmpfs-1")
  })

  it("names none whose id is missing, or may be the number of a device", () => {
    assert.strictEqual(FileSystemId.ofStatfs(statfs(0xef53n, 0n)), "")
    // XFS, FAT, squashfs, overlayfs, FUSE, NFS.
    for (const type of [0x58465342n, 0x4d44n, 0x73717368n, 0x794c7630n, 0x65735546n, 0x6969n]) {
      assert.strictEqual(FileSystemId.ofStatfs(statfs(type, 1792n)), "")
    }
  })

  it("has the UUID of XFS asked for, and takes none but a whole one", () => {
    assert.deepStrictEqual(
      [0x58465342n, 0xef53n, 0x9123683en].map((type) => FileSystemId.needsUuid(statfs(type, 1n))),
      [true, false, false]
    )
    assert.strictEqual(FileSystemId.ofUuid(uuid(16, 0xab)), `uuid-${"ab".repeat(16)}`)
    assert.deepStrictEqual([FileSystemId.ofUuid(uuid(16, 0)), FileSystemId.ofUuid(uuid(8, 0xab))], ["", ""])
  })
})
