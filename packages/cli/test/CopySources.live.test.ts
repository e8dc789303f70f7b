import { assert, describe, it } from "@effect/vitest"
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import { createServer } from "node:net"
import * as path from "node:path"
import { setTimeout } from "node:timers/promises"
import { isLong } from "../../../test/effort.ts"
import {
  assertSame,
  bytes,
  contentsOf,
  freshPlace,
  hasStrace,
  isRoot,
  jobsOf,
  lines,
  mayMount,
  mount,
  run,
  strays,
  told,
  treeOf,
  whileHeld,
  works
} from "./faults.ts"

/** A source with a small file, one that is read piece by piece, and some beside them. */
const plant = () => {
  const place = freshPlace()
  const { source, target } = place
  fs.mkdirSync(path.join(source, "folder"), { recursive: true })
  fs.mkdirSync(path.join(target, "folder"), { recursive: true })
  for (const name of ["a", "folder/b", "folder/small"]) fs.writeFileSync(path.join(source, name), `text of ${name}`)
  fs.writeFileSync(path.join(source, "folder/large"), bytes(20 * 2 ** 20, 1))
  for (const name of ["small", "large"]) fs.writeFileSync(path.join(target, "folder", name), "old")
  return { ...place, args: ["copy", "-T", "--json", source, target] }
}

const reading = ["read", "pread64", "copy_file_range"]

/** What became of items that have a line. */
const outcomes = (stdout: string) =>
  lines(stdout).filter(({ type }) => type === "item").map(({ key, outcome }) => [path.basename(String(key)), outcome])

describe.skipIf(!hasStrace)("fanout copy of what changes meanwhile (needs strace)", () => {
  const append = (file: string) => fs.appendFileSync(file, "more")
  const shorten = (file: string) => fs.truncateSync(file, 7)
  const exchange = (file: string) => {
    fs.writeFileSync(`${path.dirname(path.dirname(file))}/new`, bytes(20_000, 9))
    fs.renameSync(`${path.dirname(path.dirname(file))}/new`, file)
  }

  it.each([
    ["small", "grows", append],
    ["large", "grows", append],
    ["small", "shrinks", shorten],
    ["large", "shrinks", shorten]
  ])("reads once more what %s and %s while it is read", async (name, _, change) => {
    const { args, place, source, target } = plant()
    const file = path.join(source, "folder", name)
    const fault = { calls: reading, paths: [file], fault: "delay_enter=500ms:when=1" }

    const { code: status, stderr } = await whileHeld(place, args, fault, () => change(file))

    assert.strictEqual(status, 0, stderr)
    assertSame(source, target)
  })

  it.each(["small", "large"])("has all of one of them, if %s is replaced or removed while it is read", async (name) => {
    for (const change of [exchange, fs.rmSync]) {
      const { args, place, source, target } = plant()
      const file = path.join(source, "folder", name)
      const [before, old] = [source, target].map((tree) => contentsOf(tree).get(`./folder/${name}`))
      const fault = { calls: reading, paths: [file], fault: "delay_enter=500ms:when=1" }

      const { code: status, stderr } = await whileHeld(place, args, fault, () => change(file))

      assert.strictEqual(status, 0, stderr)
      // To lose a name changes a file, so that it is read again. One that is gone has vanished: the old copy stays.
      const whole = [before, change === exchange ? contentsOf(source).get(`./folder/${name}`) : old]
      assert.include(whole, contentsOf(target).get(`./folder/${name}`))
      assert.deepStrictEqual(strays(target), [])
    }
  })

  it.each(["small", "large"])("fails %s if it changes whenever it is read, and leaves the old one", async (name) => {
    const { args, place, source, target } = plant()
    const file = path.join(source, "folder", name)
    const fault = { calls: reading, paths: [file], fault: "delay_enter=200ms" }

    const { code: status, stderr, stdout } = await whileHeld(place, args, fault, async ({ child }) => {
      while (child.exitCode === null) {
        append(file)
        await setTimeout(20)
      }
    })

    assert.strictEqual(status, 1, stderr)
    assert.deepStrictEqual(outcomes(stdout), [[name, "Failed"]])
    assert.include(stdout, "changed while it was copied")
    assert.strictEqual(fs.readFileSync(path.join(target, "folder", name), "utf8"), "old")
    assert.deepStrictEqual(strays(target), [])
    assert.strictEqual(fs.readFileSync(path.join(target, "folder/b"), "utf8"), "text of folder/b")
  })

  /** Does something to what was listed, before any of it is looked at. */
  const onceListed = (change: (folder: string, place: string) => void) => {
    const planted = plant()
    const folder = path.join(planted.source, "folder")
    // The walk has looked how much there is, in two calls.
    const turn = 3
    const listing = { calls: ["getdents64"], paths: [folder], fault: `delay_exit=700ms:when=${turn}` }
    const ended = whileHeld(planted.place, planted.args, listing, async () => {
      // The call is told before it is made.
      await setTimeout(200)
      change(folder, planted.place)
    }, turn)
    return { ...planted, ended }
  }

  it("skips what has vanished since it was listed, and tells of it", async () => {
    const { ended, place, source, target } = onceListed((folder) => {
      for (const name of ["small", "large"]) fs.rmSync(path.join(folder, name))
    })
    const { code: status, stderr, stdout } = await ended
    assert.strictEqual(status, 0, stderr)
    assert.sameDeepMembers(outcomes(stdout), [["large", "Vanished"], ["small", "Vanished"]])
    assert.deepInclude(lines(stdout).at(-1), { type: "summary", failed: 0, vanished: 2, code: 0 })
    // What was there is left.
    for (const name of ["small", "large"]) {
      assert.strictEqual(fs.readFileSync(path.join(target, "folder", name), "utf8"), "old")
    }
    const [job] = jobsOf(place)
    assert.include(run(place, ["jobs", "show", String(job?.["id"])]).stdout, "2 vanished")
    assert.strictEqual(fs.readFileSync(path.join(source, "a"), "utf8"), fs.readFileSync(path.join(target, "a"), "utf8"))
  })

  it("fails what was in a source that was named, and is elsewhere by now", async () => {
    const { ended, place, source } = onceListed((folder, place) => {
      const moved = path.join(place, "moved")
      fs.renameSync(path.dirname(folder), moved)
      fs.symlinkSync(moved, path.dirname(folder))
    })
    const { code: status, stderr, stdout } = await ended
    assert.strictEqual(status, 1, stderr)
    assert.deepInclude(lines(stdout).at(-1), { type: "summary", vanished: 0, code: 1 })
    assert.include(stdout, "which was to be copied, is not there any more")
    // Once it is there again, the rest is copied.
    fs.unlinkSync(source)
    fs.renameSync(path.join(place, "moved"), source)
    const [job] = jobsOf(place)
    const { status: retried, stderr: why } = run(place, ["jobs", "retry", String(job?.["id"])])
    assert.strictEqual(retried, 0, why)
  })

  it("takes nothing for a file that is none by now", async () => {
    const { ended, place, target } = onceListed((folder, place) => {
      fs.writeFileSync(path.join(place, "secret"), "secret")
      for (const name of ["small", "large", "b"]) fs.rmSync(path.join(folder, name))
      fs.symlinkSync(path.join(place, "secret"), path.join(folder, "small"))
      fs.mkdirSync(path.join(folder, "large"))
      spawnSync("mkfifo", [path.join(folder, "b")])
    })
    const { code: status, stderr } = await ended
    assert.include([0, 1], status, stderr)
    const content = contentsOf(target)
    assert.notInclude(Array.from(content.values()), contentsOf(place).get("./secret"))
    assert.strictEqual(fs.readFileSync(path.join(target, "folder/large"), "utf8"), "old")
    assert.isFalse(fs.existsSync(path.join(target, "folder/b")))
    assert.deepStrictEqual(strays(target), [])
  })
})

describe.skipIf(!isRoot || !hasStrace)("fanout copy of what is no file (needs root and strace)", () => {
  it("skips and tells of pipes, sockets and devices, and opens none of them", async () => {
    const { args, place, source, target } = plant()
    const special = ["pipe", "socket", "characters", "blocks"].map((name) => path.join(source, "folder", name))
    const [pipe = "", socket = "", characters = "", blocks = ""] = special
    assert.isTrue(works("mkfifo", pipe))
    assert.isTrue(works("mknod", characters, "c", "1", "3"))
    assert.isTrue(works("mknod", blocks, "b", "7", "200"))
    const server = createServer().listen(socket)
    await once(server, "listening")
    const trace = path.join(place, "trace")

    const strace = ["strace", "-f", "-qq", "-e", "trace=?open,openat,openat2", "-e", "signal=none", "-o", trace]
    const { status, stderr, stdout } = run(place, args, strace)
    const single = special.map((file) => {
      const { status, stderr } = run(place, ["copy", file, path.join(place, "single")])
      return [status, /failed {3}\S+: (.*)/.exec(stderr)?.[1]]
    })
    server.close()

    assert.strictEqual(status, 0, stderr)
    const skipped = lines(stdout).filter(({ type }) => type === "item")
    assert.sameMembers(skipped.map(({ key }) => key), special)
    for (const { outcome, reason } of skipped) {
      assert.deepStrictEqual([outcome, reason], ["Skipped", "it is no file, folder or link"])
    }
    assert.notMatch(told(trace), /"(?:[^"]*\/)?(?:pipe|socket|characters|blocks)"/)
    assert.deepStrictEqual(single, [
      [1, "A FIFO can't be copied"],
      [1, "A socket can't be copied"],
      [1, "A device can't be copied"],
      [1, "A device can't be copied"]
    ])
    assert.isFalse(fs.existsSync(path.join(place, "single")))
    assert.sameMembers(fs.readdirSync(path.join(target, "folder")), ["b", "large", "small"])
  })
})

/** Exchanges two names while something is done. */
const whileExchanged = async (place: string, first: string, second: string, work: () => void) => {
  const ready = path.join(place, "ready")
  fs.rmSync(ready, { force: true })
  const swapChild = path.join(import.meta.dirname, "../../ops/test/swapChild.ts")
  const child = spawn(process.execPath, [swapChild, first, second, ready], { stdio: "inherit" })
  while (!fs.existsSync(ready)) {
    assert.isNull(child.exitCode)
    await setTimeout(2)
  }
  work()
  child.kill("SIGKILL")
  await once(child, "exit")
}

describe.skipIf(process.platform !== "linux")("fanout copy while folders are swapped for links (needs Linux)", () => {
  const rounds = isLong ? 40 : 3

  /** Two trees with the same names; enough of them that threads take part. */
  const plantTwo = () => {
    const { place, source, target } = freshPlace()
    const outside = path.join(place, "outside")
    for (const root of [source, outside]) {
      for (let i = 0; i < 12; i++) {
        fs.mkdirSync(path.join(root, `sub/${i}/deep`), { recursive: true })
        for (let j = 0; j < 40; j++) {
          const text = root === outside ? "secret" : "ours"
          fs.writeFileSync(path.join(root, `sub/${i}`, j % 2 === 0 ? "deep" : "", `file-${j}`), text)
        }
      }
    }
    return { place, source, target, outside }
  }

  it("reads nothing outside of its source", { timeout: 600_000 }, async () => {
    const { outside, place, source, target } = plantTwo()
    fs.symlinkSync(path.join(outside, "sub"), path.join(source, "swap"))
    const seen = new Set<string>()
    await whileExchanged(place, path.join(source, "sub"), path.join(source, "swap"), () => {
      // Each round finds the folder or the link, as it happens: it goes on until one has found the folder.
      for (let round = 0; round < rounds || (seen.size === 0 && round < 10 * rounds); round++) {
        const { status, stderr } = run(place, ["copy", "-T", source, target])
        assert.include([0, 1], status, stderr)
        const secret = spawnSync("grep", ["-rl", "secret", target], { encoding: "utf8" })
        assert.strictEqual(secret.stdout, "")
        if (contentsOf(target).size > 2) seen.add("files")
        fs.rmSync(target, { recursive: true, force: true })
      }
    })
    assert.include(seen, "files")
  })

  it("writes nothing outside of its destination", { timeout: 600_000 }, async () => {
    const { outside, place, source, target } = plantTwo()
    fs.rmSync(path.join(outside, "sub/3/deep/file-0"))
    const before = treeOf(outside)
    for (let round = 0; round < rounds; round++) {
      fs.mkdirSync(path.join(target, "sub"), { recursive: true })
      fs.symlinkSync(path.join(outside, "sub"), path.join(target, "swap"))
      const options = round % 2 === 0 ? [] : ["--conflict", "overwrite"]
      await whileExchanged(place, path.join(target, "sub"), path.join(target, "swap"), () => {
        const { status, stderr } = run(place, ["copy", ...options, "-T", source, target])
        assert.include([0, 1], status, stderr)
      })
      assert.deepStrictEqual(treeOf(outside), before)
      fs.rmSync(target, { recursive: true, force: true })
    }
  })
})

describe("fanout copy and move of several sources of which one is missing", () => {
  it.each(["copy", "move"] as const)("%s the others, and end with 1, time and again", (command) => {
    const { place, target } = freshPlace()
    const names = ["a", "missing", "c"].map((name) => path.join(place, name))
    const [a = "", missing = "", c = ""] = names
    fs.mkdirSync(target)
    for (const file of [a, c]) fs.writeFileSync(file, "text")
    const dry = run(place, [command, "--dry-run", ...names, target])
    assert.deepStrictEqual([dry.status, fs.readdirSync(target)], [1, []], dry.stderr)
    const first = run(place, [command, ...names, target])
    assert.deepStrictEqual([first.status, fs.readdirSync(target)], [1, ["a", "c"]], first.stderr)
    assert.include(first.stderr, `failed   ${missing}: could not look at it: it does not exist`)

    if (command === "move") { for (const file of [a, c]) fs.writeFileSync(file, "text") }
    const again = run(place, [command, ...names, target])
    assert.strictEqual(again.status, 1, again.stderr)
    assert.include(again.stderr, `failed   ${missing}: `)
    fs.writeFileSync(missing, "here")
    const [, id = ""] = /fanout jobs retry (\w+)/.exec(again.stderr) ?? []
    const retried = run(place, ["jobs", "retry", id])
    assert.strictEqual(retried.status, 0, retried.stderr)
    assert.deepStrictEqual(fs.readdirSync(target), ["a", "c", "missing"])
  })

  it("refuse what has no source at all", () => {
    const { place, target } = freshPlace()
    fs.mkdirSync(target)
    for (const names of [["missing"], ["missing", "nowhere"]]) {
      const { status, stderr } = run(place, ["copy", ...names, target])
      assert.strictEqual(status, 2)
      assert.match(stderr, /There is nothing at ".*missing"/)
    }
  })
})

describe.skipIf(process.platform !== "linux")("fanout copy where the calls of the system can't be had", () => {
  it("copies by Node's own, and says what that lacks", () => {
    const { place, source, target } = freshPlace()
    fs.mkdirSync(source)
    fs.writeFileSync(path.join(source, "a"), "text")
    const without = ["env", "NODE_OPTIONS=--no-addons"]
    const { status, stderr } = run(place, ["copy", "-T", source, target], without)
    assert.strictEqual(status, 0, stderr)
    assert.match(stderr, /^warning {2}The system's calls can't be had here/m)
    assert.deepStrictEqual(contentsOf(target), contentsOf(source))
    const usual = run(place, ["copy", "-T", source, target])
    assert.notInclude(usual.stderr, "warning")
  })
})

describe("fanout copy of files with holes", () => {
  /** A file of which next to nothing is on the disk. */
  const plantHoles = (file: string, sizeBytes: number): void => {
    fs.writeFileSync(file, "at the beginning")
    fs.truncateSync(file, sizeBytes)
    const middle = fs.openSync(file, "r+")
    fs.writeSync(middle, "in the middle", Math.floor(sizeBytes * 0.7))
    fs.closeSync(middle)
  }
  const plantTree = () => {
    const plan = freshPlace()
    fs.mkdirSync(path.join(plan.source, "folder"), { recursive: true })
    for (const [name, sizeBytes] of sizes) plantHoles(path.join(plan.source, name), sizeBytes)
    return plan
  }
  const sizes = [["small", 4_000_000], ["folder/small", 1_000_000], ["large", isLong ? 2 ** 28 : 2 ** 26]] as const
  const blocksOf = (file: string): number => fs.statSync(file).blocks

  it.skipIf(!works("cmp", "--version")).each([
    "",
    "--verify",
    "--durable",
    "--conflict=error",
    "--preserve=times,sparse"
  ])("keeps them (%s)", (option) => {
    const { place, source, target } = plantTree()
    const { status, stderr } = run(place, ["copy", ...option === "" ? [] : [option], "-T", source, target])
    assert.strictEqual(status, 0, stderr)
    for (const [name] of sizes) {
      const [file, copy] = [path.join(source, name), path.join(target, name)]
      assert.isTrue(works("cmp", file, copy), name)
      assert.isAtMost(blocksOf(copy), blocksOf(file), name)
    }
  })

  it.skipIf(!mayMount)("reads none to compare it, of whatever size (needs root)", () => {
    const { place, source, target } = freshPlace()
    const disk = path.join(place, "disk")
    mount(disk, "-t", "tmpfs", "tmpfs")
    fs.mkdirSync(source)
    const sizeBytes = 2 ** 40
    plantHoles(path.join(source, "file"), sizeBytes)
    const moved = path.join(disk, "moved")
    for (const args of [["copy", "--verify", "-T", source, target], ["move", "-T", source, moved]]) {
      const { status, stderr } = run(place, args)
      assert.strictEqual(status, 0, stderr)
    }
    for (const folder of [target, moved]) {
      const copy = fs.openSync(path.join(folder, "file"), "r")
      const text = Buffer.alloc(20)
      for (const [at, expected] of [[0, "at the beginning"], [Math.floor(sizeBytes * 0.7), "in the middle"]] as const) {
        fs.readSync(copy, text, 0, text.length, at)
        assert.strictEqual(text.toString("latin1").replaceAll("\0", ""), expected)
      }
      assert.strictEqual(fs.fstatSync(copy).size, sizeBytes)
      fs.closeSync(copy)
    }
  })

  it.skipIf(!isLong)("fills them where LIST lacks `sparse` (needs npm run test:faults)", { timeout: 600_000 }, () => {
    const { place, source, target } = plantTree()
    const { status, stderr } = run(place, ["copy", "--preserve", "mode,times", "-T", source, target])
    assert.strictEqual(status, 0, stderr)
    for (const [name] of sizes) assert.isTrue(works("cmp", path.join(source, name), path.join(target, name)), name)
  })
})
