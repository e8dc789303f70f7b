import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { isLong } from "../../../test/effort.ts"
import {
  assertSame,
  bytes,
  contentsOf,
  freshPlace,
  hasExt4,
  hasStrace,
  isRoot,
  jobsOf,
  lines,
  mayMount,
  meeting,
  mount,
  mountExt4,
  nobody,
  run,
  strays,
  told,
  treeOf,
  works
} from "./faults.ts"

const large = 9 * 2 ** 20

const write = (root: string, files: Readonly<Record<string, string | Buffer>>): void => {
  for (const [name, content] of Object.entries(files)) {
    fs.mkdirSync(path.dirname(path.join(root, name)), { recursive: true })
    fs.writeFileSync(path.join(root, name), content)
  }
}

/** A source, and a target in which two of its files are older ones. */
const plant = () => {
  const place = freshPlace()
  write(place.source, {
    a: "text of a",
    b: "text of b",
    c: "text of c",
    "folder/a": "text of folder/a",
    "folder/b": "text of folder/b",
    large: bytes(large, 1),
    "new large": bytes(large, 2)
  })
  write(place.target, { b: "the old b", large: "the old large one" })
  return place
}

/** What is in a target is what is in the source, or what was there before. */
const assertOldOrNew = (source: string, target: string, before: ReadonlyMap<string, string>, message?: string) => {
  const wanted = contentsOf(source)
  const found = contentsOf(target)
  assert.deepStrictEqual(strays(target), [], message)
  for (const [name, content] of found) assert.include([wanted.get(name), before.get(name)], content, name)
  for (const name of before.keys()) assert.isTrue(found.has(name), `${name} is gone`)
}

/** Names of those files that a target has as the source has them. */
const copied = (source: string, target: string): ReadonlyArray<string> => {
  const wanted = contentsOf(source)
  return Array.from(contentsOf(target)).flatMap(([name, content]) => wanted.get(name) === content ? [name] : [])
}

describe.skipIf(!hasStrace)("fanout copy from a disk that fails (needs strace)", () => {
  it("tells which files can't be read, and copies the others", () => {
    const { place, source, target } = plant()
    const bad = ["b", "large", "folder/b", "new large"].map((name) => path.join(source, name))
    const before = contentsOf(target)
    const args = ["copy", "-T", source, target]

    const fault = { calls: ["read", "pread64", "copy_file_range"], fault: "error=EIO", paths: bad }
    const { status, stderr } = run(place, args, meeting(fault))

    assert.strictEqual(status, 1, stderr)
    for (const file of bad) {
      assert.include(stderr, `failed   ${file}: could not read it: the device failed to read or write (EIO)\n`)
    }
    assertOldOrNew(source, target, before)
    assert.deepStrictEqual(copied(source, target), ["./a", "./c", "./folder/a"])

    const [, id = ""] = /fanout jobs retry (\w+)/.exec(stderr) ?? []
    const retried = run(place, ["jobs", "retry", id])
    assert.strictEqual(retried.status, 0, retried.stderr)
    assert.deepStrictEqual(contentsOf(target), contentsOf(source))
  })
})

describe.skipIf(!hasStrace)("fanout from a disk that does not tell extended attributes (needs strace)", () => {
  const fault = {
    calls: ["flistxattr", "llistxattr"],
    fault: "error=EIO"
  }

  it.each(["mode,times", "all"])("copies all the same, and tells it (--preserve %s)", (preserve) => {
    const { place, source, target } = plant()
    const { status, stderr } = run(place, ["copy", "--preserve", preserve, "-T", source, target], meeting(fault))
    assert.strictEqual(status, 0, stderr)
    assert.include(stderr, "could not be given the permissions of their sources")
    assertSame(source, target)
  })

  it.skipIf(!mayMount)("moves nothing to another one, and tells why", () => {
    const { place, source } = plant()
    const before = treeOf(source)
    const disk = path.join(place, "disk")
    mount(disk, "-t", "tmpfs", "tmpfs")
    const { status, stderr } = run(place, ["move", "-T", source, path.join(disk, "moved")], meeting(fault))
    assert.strictEqual(status, 1, stderr)
    assert.match(stderr, /failed {3}\S+: could not list the extended attributes of .*\(EIO\)/)
    assert.deepStrictEqual(treeOf(source), before)
  })
})

describe.skipIf(!hasStrace)("fanout copy --durable to a disk that fails (needs strace)", () => {
  const args = (source: string, target: string) => ["copy", "--durable", "-T", source, target]

  it("replaces nothing by what could not be flushed", () => {
    const { place, source, target } = plant()
    const before = contentsOf(target)

    // The flush before the first file tells of what is not this copy's doing; the second one is for its folder.
    const failing = meeting({ calls: ["syncfs"], fault: "error=EIO:when=3+" })
    const { status, stderr } = run(place, args(source, target), failing)

    assert.strictEqual(status, 1, stderr)
    assert.match(stderr, /failed {3}\S+: could not flush the file system of "\S+": the device failed to read or write/)
    assert.deepStrictEqual(contentsOf(target), before)
    assert.deepStrictEqual(strays(target), [])
  })

  it("writes anew what could not be flushed once", () => {
    const created = (when: number) => {
      const { place, source, target } = plant()
      fs.rmSync(path.join(source, "folder"), { recursive: true })
      const trace = path.join(place, "trace")
      const calls = ["openat", "syncfs"]
      const failing = meeting({ calls, on: ["syncfs"], fault: `error=EIO:when=${when}`, trace })
      const { status, stderr } = run(place, args(source, target), failing)
      assert.strictEqual(status, 0, stderr)
      assertSame(source, target)
      const lines = told(trace).split("\n").filter((line) => line.includes(target))
      return lines.filter((line) => /O_CREAT|O_TMPFILE/.test(line)).length
    }

    // The third one is the first for files.
    assert.isAbove(created(3), created(1000))
  })

  it("is all there or says what is not, whichever flush fails", { timeout: 600_000 }, () => {
    for (const when of isLong ? Array.from({ length: 16 }, (_, i) => i + 1) : [1, 4, 6]) {
      const { place, source, target } = plant()
      const before = contentsOf(target)
      const failing = meeting({ calls: ["syncfs"], fault: `error=EIO:when=${when}` })
      const { status, stderr } = run(place, args(source, target), failing)
      const message = `${when}: ${stderr}`
      assert.include([0, 1], status, message)
      assertOldOrNew(source, target, before, message)
      // A folder is not made anew: what is in it may be skipped, and all of that is done by a retry.
      if (status === 1) {
        const [, id = ""] = /fanout jobs retry (\w+)/.exec(stderr) ?? []
        const retried = run(place, ["jobs", "retry", id])
        assert.strictEqual(retried.status, 0, `${message}\n${retried.stderr}`)
      }
      assertSame(source, target, message)
      fs.rmSync(place, { recursive: true })
    }
  })

  it("flushes file by file where all of a file system can't be flushed", () => {
    const { place, source, target } = plant()
    const trace = path.join(place, "trace")
    const refused = meeting({ calls: ["syncfs", "fsync"], on: ["syncfs"], fault: "error=ENOSYS", trace })
    const { status, stderr } = run(place, args(source, target), refused)
    assert.strictEqual(status, 0, stderr)
    assertSame(source, target)
    const flushed = told(trace).split("\n").filter((line) => /fsync\(.*(?:\/#\d|\/\.fanout-)/.test(line))
    assert.isAtLeast(flushed.length, contentsOf(source).size)
  })

  it("tells of names that could not be flushed, and takes new ones away again", () => {
    const { place, source, target } = plant()
    const before = contentsOf(target)
    const refused = meeting({ calls: ["syncfs", "fsync"], on: ["syncfs"], fault: "error=ENOSYS", paths: [target] })
    const files = ["a", "b", "c", "large", "new large"].map((name) => path.join(source, name))
    const failing = [...refused, "-e", "inject=fsync:error=EIO"]
    const { status, stderr } = run(place, ["copy", "--durable", ...files, target], failing)
    assert.strictEqual(status, 1, stderr)
    for (const file of files) {
      assert.include(
        stderr,
        `failed   ${file}: could not flush "${target}": the device failed to read or write (EIO)\n`
      )
    }
    assertOldOrNew(source, target, before)
    assert.sameMembers(Array.from(contentsOf(target).keys()), Array.from(before.keys()))
  })
})

describe.skipIf(!mayMount)("fanout copy to where it may not write (needs mounts)", () => {
  it("says that a file system is read-only, and leaves what is there", () => {
    const { place, source } = plant()
    const disk = path.join(place, "disk")
    mount(disk, "-t", "tmpfs", "-o", "size=4m", "tmpfs")
    write(path.join(disk, "there"), { b: "the old b" })
    assert.isTrue(works("mount", "-o", "remount,ro", disk))
    for (const target of ["there", "new"].map((name) => path.join(disk, name))) {
      const before = contentsOf(target)
      const { status, stderr } = run(place, ["copy", "-T", source, target])
      assert.strictEqual(status, 1, stderr)
      assert.match(stderr, /failed {3}\S+: could not create .*: the file system is read-only \(EROFS\)/)
      assert.deepStrictEqual(contentsOf(target), before)
    }
    const one = run(place, ["copy", path.join(source, "a"), `${disk}/`])
    assert.strictEqual(one.status, 1)
    assert.match(one.stderr, /the file system is read-only \(EROFS\)/)
  })

  it("copies and moves what belongs to users that a user namespace does not know, and tells it", () => {
    const { place, source, target } = freshPlace()
    fs.mkdirSync(path.join(source, "folder"), { recursive: true })
    fs.writeFileSync(path.join(source, "folder/file"), "text")
    fs.symlinkSync("file", path.join(source, "folder/link"))
    for (const name of ["folder", "folder/file", "folder/link"]) fs.lchownSync(path.join(source, name), 1234, 2345)
    const disk = path.join(place, "disk")
    mount(disk, "-t", "tmpfs", "tmpfs")
    fs.chmodSync(disk, 0o777)
    const unmapped = ["unshare", "-Ur"]

    const copy = run(place, ["copy", "--preserve", "all", "-T", source, target], unmapped)
    assert.strictEqual(copy.status, 0, copy.stderr)
    assert.include(copy.stderr, "3 copies could not be given the owner")
    assert.strictEqual(fs.readFileSync(path.join(target, "folder/link"), "utf8"), "text")
    for (const name of ["folder", "folder/file", "folder/link"]) fs.lchownSync(path.join(source, name), 0, 0)
    fs.lchownSync(path.join(source, "folder/file"), 1234, 0)
    const move = run(place, ["move", "-T", source, path.join(disk, "moved")], unmapped)
    assert.strictEqual(move.status, 0, move.stderr)
    assert.strictEqual(fs.readFileSync(path.join(disk, "moved/folder/link"), "utf8"), "text")
    assert.isFalse(fs.existsSync(source))
  })

  it("copies and moves links where nothing leads to their extended attributes, as no /proc is mounted", () => {
    const { place, source, target } = freshPlace()
    fs.mkdirSync(path.join(source, "folder"), { recursive: true })
    for (const name of ["link", "folder/link"]) fs.symlinkSync("nowhere", path.join(source, name))
    const disk = path.join(place, "disk")
    mount(disk, "-t", "tmpfs", "tmpfs")
    const without = ["unshare", "-m", "sh", "-c", "umount -l /proc && exec \"$@\"", "sh"]
    const linksIn = (folder: string) =>
      ["link", "folder/link"].map((name) => fs.readlinkSync(path.join(folder, name), "utf8"))

    const copy = run(place, ["copy", "--preserve", "all", "-T", source, target], without)
    assert.strictEqual(copy.status, 0, copy.stderr)
    assert.deepStrictEqual(linksIn(target), ["nowhere", "nowhere"], copy.stderr)
    const move = run(place, ["move", "-T", source, path.join(disk, "moved")], without)
    assert.strictEqual(move.status, 0, move.stderr)
    assert.deepStrictEqual(linksIn(path.join(disk, "moved")), ["nowhere", "nowhere"], move.stderr)
    assert.isFalse(fs.existsSync(source))
  })

  it.skipIf(!hasExt4)(
    "fails what is immutable, and does the rest (needs mkfs.ext4 and chattr)",
    () => {
      const { place, source } = plant()
      const target = path.join(mountExt4(place), "target")
      write(target, { b: "the old b", large: "the old large one", "folder/b": "the old folder/b" })
      const before = contentsOf(target)
      const stuck = ["b", "large", "folder"].map((name) => path.join(target, name))
      assert.isTrue(works("chattr", "+i", ...stuck))

      const failed = run(place, ["copy", "-T", "--json", source, target])
      assert.isTrue(works("chattr", "-i", ...stuck))

      assert.strictEqual(failed.status, 1, failed.stderr)
      const items = lines(failed.stdout).filter(({ type }) => type === "item")
      assert.sameMembers(
        items.filter(({ outcome }) => outcome === "Failed").map(({ key }) => key),
        ["b", "large", "folder/a", "folder/b"].map((name) => path.join(source, name))
      )
      assert.include(JSON.stringify(items), "the operation is not permitted (EPERM)")
      assertOldOrNew(source, target, before)
      assert.deepStrictEqual(copied(source, target), ["./a", "./c", "./new large"])
      const again = run(place, ["copy", "-T", source, target])
      assert.strictEqual(again.status, 0, again.stderr)
      assertSame(source, target)
    }
  )

  it.skipIf(spawnSync("chattr", ["-V"]).error !== undefined)(
    "copies into a folder that gives up none of its names (needs chattr)",
    () => {
      const { place, source, target } = freshPlace()
      write(source, { a: "text of a", "folder/a": "text of folder/a", "folder/in it/b": "text of b" })
      mount(target, "-t", "tmpfs", "tmpfs")
      // Elsewhere the file system may not know of such folders.
      assert.isTrue(works("chattr", "+a", target))
      const { status, stderr } = run(place, ["copy", "-T", source, target])
      assert.isTrue(works("chattr", "-a", target))
      assert.strictEqual(status, 0, stderr)
      assert.deepStrictEqual([contentsOf(target), strays(target)], [contentsOf(source), []])
    }
  )
})

describe.skipIf(!isRoot || !works("setpriv", "--version"))("fanout copy as somebody else (needs root, setpriv)", () => {
  it("fails what it may not read or write, and does the rest", () => {
    const { place, source, target } = plant()
    const before = contentsOf(target)
    assert.isTrue(works("chown", "-R", "65534", target))
    write(target, { "folder/b": "not theirs" })
    fs.chmodSync(path.join(source, "c"), 0o600)

    const { status, stderr } = run(place, ["copy", "-T", source, target], nobody)

    assert.strictEqual(status, 1, stderr)
    const failed = ["c", "folder/a", "folder/b"].map((name) => path.join(source, name))
    assert.sameMembers(
      Array.from(stderr.matchAll(/^failed {3}(.*?):.*permission denied \(EACCES\)$/gm), ([, key]) => key),
      failed
    )
    assertOldOrNew(source, target, new Map([...before, ["./folder/b", contentsOf(target).get("./folder/b") ?? ""]]))
    assert.strictEqual(fs.readFileSync(path.join(target, "folder/b"), "utf8"), "not theirs")
    assert.deepStrictEqual(copied(source, target), ["./a", "./b", "./large", "./new large"])
  })

  it("copies links that it may not give to their owner, with their times", () => {
    const { place, source, target } = freshPlace()
    const names = Array.from({ length: 20 }, (_, index) => `link ${index}`)
    for (const name of ["", "folder"]) fs.mkdirSync(path.join(source, name), { recursive: true })
    for (const folder of [source, path.join(source, "folder")]) {
      for (const name of names) {
        fs.symlinkSync("nothing", path.join(folder, name))
        fs.lutimesSync(path.join(folder, name), 1_500_000_000, 1_500_000_000)
      }
    }

    const args = ["copy", "--conflict", "skip", "--preserve", "all", "-T", source, target]
    const { status, stderr } = run(place, args, nobody)

    assert.strictEqual(status, 0, stderr)
    for (const name of [...names, ...names.map((name) => path.join("folder", name))]) {
      assert.strictEqual(fs.lstatSync(path.join(target, name)).mtimeMs, 1_500_000_000_000, name)
    }
  })

  /** A copy in which two files failed, in folders that nobody may write in by now. */
  const failedInClosed = () => {
    const { place, source, target } = freshPlace()
    write(source, { "closed/a": "a", "closed/b": "b", "closed/inner/c": "c", "open/d": "d" })
    for (const name of ["closed/inner", "closed"]) {
      fs.utimesSync(path.join(source, name), 1_500_000_000, 1_500_000_000)
      fs.chmodSync(path.join(source, name), 0o555)
    }
    const denied = ["closed/b", "closed/inner/c", "open/d"].map((name) => path.join(source, name))
    for (const file of denied) fs.chmodSync(file, 0)
    const args = ["copy", "-T", source, target]
    assert.strictEqual(run(place, args, nobody).status, 1)
    assert.strictEqual(fs.statSync(path.join(target, "closed")).mode & 0o777, 0o555)
    for (const file of denied) fs.chmodSync(file, 0o644)
    return { args, place, source, target, id: String(jobsOf(place, nobody)[0]?.["id"]) }
  }

  it("writes in folders that it has closed when what has failed is tried again, and closes them", () => {
    const { id, place, source, target } = failedInClosed()
    const { status, stderr } = run(place, ["jobs", "retry", id], nobody)
    assert.strictEqual(status, 0, stderr)
    assertSame(source, target)
  })

  it.skipIf(!hasStrace)("closes them also where it is killed in between, or denied once more", () => {
    const { args, id, place, source, target } = failedInClosed()
    const inner = path.join(target, "closed/inner")
    const isOpen = () => (fs.statSync(inner).mode & 0o200) !== 0
    const faults = ["signal=KILL", "error=EIO"] as const

    // The folder in there is opened, and a file is to get its name.
    const calls = { calls: ["linkat", "renameat", "renameat2"], paths: [inner] }
    run(place, ["jobs", "retry", id], [...nobody, ...meeting({ ...calls, fault: faults[0] })])
    assert.isTrue(isOpen())
    const again = run(place, args, [...nobody, ...meeting({ ...calls, fault: faults[1] })])
    assert.strictEqual(again.status, 1, again.stderr)
    for (const folder of [inner, path.dirname(inner)]) assert.strictEqual(fs.statSync(folder).mode & 0o777, 0o555)
    const last = run(place, ["jobs", "retry", id], nobody)

    assert.strictEqual(last.status, 0, last.stderr)
    assertSame(source, target)
  })

  it.skipIf(!hasStrace)("closes them where it is killed in between and then cancelled", () => {
    const { id, place, source, target } = failedInClosed()
    const inner = path.join(target, "closed/inner")
    const killed = { calls: ["linkat", "renameat", "renameat2"], paths: [inner], fault: "signal=KILL" } as const
    run(place, ["jobs", "retry", id], [...nobody, ...meeting(killed)])
    assert.strictEqual(fs.statSync(inner).mode & 0o777, 0o755)

    const { status, stderr } = run(place, ["jobs", "cancel", id], nobody)

    assert.strictEqual(status, 0, stderr)
    for (const name of ["closed/inner", "closed"]) {
      const seen = (top: string) => {
        const { mode, mtimeMs } = fs.statSync(path.join(top, name))
        return { mode: mode & 0o777, mtimeMs }
      }
      assert.deepStrictEqual(seen(target), seen(source))
    }
  })

  it.skipIf(!hasStrace).each(["file", "folder"])(
    "leaves a %s that takes the place of one meanwhile as it is",
    (kind) => {
      const { args, id, place, target } = failedInClosed()
      const inner = path.join(target, "closed/inner")
      const killed = { calls: ["linkat", "renameat", "renameat2"], paths: [inner], fault: "signal=KILL" } as const
      run(place, ["jobs", "retry", id], [...nobody, ...meeting(killed)])
      fs.renameSync(inner, path.join(place, "before"))
      if (kind === "folder") fs.mkdirSync(inner)
      else fs.writeFileSync(inner, "private")
      fs.chmodSync(inner, 0o700)
      fs.chownSync(inner, 65_534, 65_534)
      fs.utimesSync(inner, 1_600_000_000, 1_600_000_000)

      assert.strictEqual(run(place, args, nobody).status, kind === "folder" ? 0 : 1)

      const { mode, mtimeMs } = fs.statSync(inner)
      assert.deepStrictEqual([mode & 0o777, mtimeMs], [0o700, 1_600_000_000_000])
    }
  )
})

describe.skipIf(!works("prlimit", "--version"))("fanout copy with 64 descriptors (needs prlimit)", () => {
  const kinds = [["--durable"], ["--conflict", "overwrite", "--concurrency", "200"], [], ["--preserve", "all"]]

  it.each(kinds.slice(0, isLong ? kinds.length : 2).map((options) => ({ options, name: options.join(" ") })))(
    "copies all there is: $name",
    ({ options }) => {
      const { place, source, target } = freshPlace()
      for (let i = 0; i < 10; i++) {
        for (let j = 0; j < 20; j++) write(source, { [`${i}/inner/${j}/file`]: `${i} ${j}`, [`${i}/${j}`]: `${j}` })
        if (i % 3 === 0) write(source, { [`${i}/large`]: bytes(large, i) })
      }
      const { status, stderr } = run(place, ["copy", ...options, "-T", source, target], ["prlimit", "--nofile=64:64"])
      assert.strictEqual(status, 0, stderr)
      assertSame(source, target)
    }
  )
})
