import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { freshPlace, hasExt4, isRoot, mayMount, mount, mountExt4, nobody, run } from "./faults.ts"

/** Paths in the tree of `plant`, what is in a folder before it: to list one may change when it was read. */
const names = [
  "link",
  "large",
  "file",
  "folder/inner/file",
  "folder/inner",
  "folder/file",
  "folder/other name",
  "folder",
  ""
]

const accessed = (root: string) => names.map((name) => [name, fs.lstatSync(path.join(root, name)).atimeMs / 1000])

/** Files with one and with two names, small and large, in folders, and a link. */
const plant = (source: string): void => {
  fs.mkdirSync(path.join(source, "folder/inner"), { recursive: true })
  for (const name of ["file", "folder/file", "folder/inner/file"]) fs.writeFileSync(path.join(source, name), "text")
  fs.writeFileSync(path.join(source, "large"), Buffer.alloc(9 * 2 ** 20, 1))
  fs.linkSync(path.join(source, "file"), path.join(source, "folder/other name"))
  fs.symlinkSync("file", path.join(source, "link"))
}

describe("fanout copy", () => {
  it("leaves new folders what they get from the one they are in, where modes are not kept", () => {
    const { place, source, target } = freshPlace()
    fs.mkdirSync(path.join(source, "folder/inner"), { recursive: true })
    fs.mkdirSync(target)
    fs.chmodSync(target, 0o2775)
    const modeOf = (name: string) => fs.statSync(path.join(target, name)).mode & 0o7777
    for (const preserve of ["times", "sparse"]) {
      const { status, stderr } = run(place, ["copy", "--preserve", preserve, "-T", source, path.join(target, preserve)])
      assert.strictEqual(status, 0, stderr)
      for (const name of [preserve, `${preserve}/folder`, `${preserve}/folder/inner`]) {
        assert.strictEqual(modeOf(name), 0o2755, name)
      }
    }
  })
})

describe.skipIf(!isRoot)("what fanout copy keeps", () => {
  it.skipIf(!mayMount)("is the time of access, which no read changes but that of a link", () => {
    const { place, source } = freshPlace()
    plant(source)
    // Older than all else, so that a read would change them also where that is noted seldom.
    const age = () => {
      for (const [index, name] of names.entries()) fs.lutimesSync(path.join(source, name), 1e9 + index, 1.1e9)
    }
    age()
    const before = accessed(source)
    const [, ...beforeButLink] = before
    const ways = [[], ["--verify"], ["--checksums", path.join(place, "sums")], ["--preserve", "all", "--verify"]]
    for (const [index, options] of ways.entries()) {
      const target = path.join(place, `copy ${index}`)
      const { status, stderr } = run(place, ["copy", ...options, "-T", source, target])
      assert.strictEqual(status, 0, stderr)
      assert.deepStrictEqual(accessed(target), before, options.join(" "))
      assert.deepStrictEqual(accessed(source).slice(1), beforeButLink, options.join(" "))
      // Whoever asks where a link leads has read it.
      age()
    }
    const disk = path.join(place, "disk")
    mount(disk, "-t", "tmpfs", "tmpfs")
    const { status, stderr } = run(place, ["move", "-T", source, path.join(disk, "moved")])
    assert.strictEqual(status, 0, stderr)
    assert.deepStrictEqual(accessed(path.join(disk, "moved")), before)
  })

  it("is read by somebody who may not leave out the note of it", () => {
    const { place, source, target } = freshPlace()
    plant(source)
    fs.chmodSync(place, 0o777)
    const { status, stderr } = run(place, ["copy", "--verify", "-T", source, target], nobody)
    assert.strictEqual(status, 0, stderr)
    assert.strictEqual(fs.readFileSync(path.join(target, "folder/inner/file"), "utf8"), "text")
    assert.strictEqual(fs.statSync(path.join(target, "large")).uid, 65_534)
  })

  it("is what a source has got beside its content since it was copied", () => {
    const { place, source, target } = freshPlace()
    plant(source)
    const properties = (root: string) =>
      names.map((name) => {
        const { gid, mode, mtimeMs, uid } = fs.lstatSync(path.join(root, name))
        return [name, mode, uid, gid, mtimeMs]
      })
    const copy = () => {
      const { status, stderr } = run(place, ["copy", "--preserve", "all", "-T", source, target])
      assert.strictEqual(status, 0, stderr)
    }
    copy()
    fs.chmodSync(path.join(source, "file"), 0o640)
    fs.chownSync(path.join(source, "folder/inner/file"), 1234, 2345)
    fs.lchownSync(path.join(source, "link"), 1234, 2345)
    fs.chmodSync(path.join(source, "large"), 0o600)
    const inodes = () => names.map((name) => fs.lstatSync(path.join(target, name)).ino)
    const before = inodes()

    copy()

    assert.deepStrictEqual(properties(target), properties(source))
    // Nothing was written anew.
    assert.deepStrictEqual(inodes(), before)
  })

  it.skipIf(!hasExt4)(
    "are the flags that new files get from a folder which is there (needs mkfs.ext4 and chattr)",
    () => {
      const { place, source } = freshPlace()
      plant(source)
      const target = path.join(mountExt4(place), "target")
      fs.mkdirSync(path.join(target, "folder/inner"), { recursive: true })
      assert.strictEqual(spawnSync("chattr", ["+A", path.join(target, "folder")]).status, 0)

      const { status, stderr } = run(place, ["copy", "-T", source, target])

      assert.strictEqual(status, 0, stderr)
      const flags = (name: string) => spawnSync("lsattr", ["-d", path.join(target, name)], { encoding: "utf8" }).stdout
      for (const name of names.filter((name) => name !== "link")) {
        const isIn = ["folder", "folder/file", "folder/other name"].includes(name)
        assert.strictEqual(/^\S*A/.test(flags(name)), isIn, flags(name))
      }
    }
  )
})
