import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { setTimeout } from "node:timers/promises"
import { stripVTControlCharacters } from "node:util"
import { startStopwatch } from "../../../test/stopwatch.ts"
import { commandLine } from "./command.ts"
import * as faults from "./faults.ts"

const nobody = faults.isRoot ? faults.nobody : []

/** A place with a database that nothing else uses. */
const fresh = () => {
  const { place } = faults.freshPlace()
  return {
    place,
    root: path.join(place, "root"),
    run: (args: ReadonlyArray<string>, prefix?: ReadonlyArray<string>) => {
      const { status, stderr, stdout } = faults.run(place, args, prefix)
      return { status, stderr, stdout }
    },
    jobs: (prefix?: ReadonlyArray<string>) => faults.jobsOf(place, prefix)
  }
}

const grow = (root: string, folders: number, files: number) => {
  for (let i = 0; i < folders; i++) {
    fs.mkdirSync(path.join(root, `d${i}`), { recursive: true })
    for (let j = 0; j < files; j++) fs.closeSync(fs.openSync(path.join(root, `d${i}/f${j}`), "w"))
  }
}

/** A deletion takes long as each of its removals does, or as there are very many. */
const [folders, files] = faults.isHeldUp ? [40, 10] : [400, 100]

/** Starts a deletion that takes long, and waits until some of its folders are gone. */
const startSlow = async (place: string, root: string) => {
  grow(root, folders, files)
  const { child, ended } = faults.start(place, ["delete", "root"], faults.slowly("unlinkat", "50ms"))
  while (fs.readdirSync(root).length > folders - 3) {
    assert.isNull(child.exitCode, "it ended too soon")
    await setTimeout(1)
  }
  return { child, ended }
}

describe("fanout delete", () => {
  it("deletes trees, files and links, and jobs tell of it", () => {
    const { jobs, place, root, run } = fresh()
    grow(root, 5, 20)
    fs.mkdirSync(path.join(root, "empty"))
    fs.writeFileSync(path.join(place, "file"), "x")
    fs.symlinkSync("state", path.join(place, "link"))

    const { status, stderr, stdout } = run(["delete", "root/", "file", "./link", root])

    assert.deepStrictEqual({ status, stderr }, { status: 0, stderr: "" })
    assert.match(stdout, /^Job \w+ \(delete\) is done: 102 deleted, 7 folders in /)
    assert.deepStrictEqual(fs.readdirSync(place), ["state"])
    const show = run(["jobs", "show", String(jobs()[0]?.["id"])])
    assert.include(show.stdout, `deletes   "${root}/", "${place}/file", "${place}/./link" and 1 more\n`)
  })

  it("tells what would go, and does nothing", () => {
    const { root, run } = fresh()
    grow(root, 2, 1)
    const { status, stdout } = run(["delete", "--dry-run", "root"])
    assert.strictEqual(status, 0)
    assert.strictEqual(
      stdout,
      ["d0/f0", "d0/", "d1/f0", "d1/", ""].map((name) => `delete  ${root}/${name}\n`).join("") +
        "Nothing was done. 2 files and 3 folders would be deleted.\n"
    )
    const json = run(["delete", "--dry-run", "--json", "root"]).stdout.trim().split("\n").map((line) =>
      JSON.parse(line)
    )
    assert.deepInclude(json[0], { v: 1, type: "step", action: "delete", kind: "file", path: `${root}/d0/f0` })
    assert.deepInclude(json.at(-1), { type: "summary", dryRun: true, files: 2, folders: 3, leave: 0, fail: 0 })
    const trash = run(["delete", "--dry-run", "--trash", "root"])
    assert.strictEqual(trash.stdout, `trash   ${root}/\nNothing was done. 1 would go to the trash.\n`)
    assert.isTrue(fs.existsSync(path.join(root, "d1/f0")))
  })

  it("tells what happens in lines of JSON, and nothing when quiet", () => {
    const { root, run } = fresh()
    grow(root, 2, 100)
    const { status, stdout } = run(["delete", "--json", "root"])
    assert.strictEqual(status, 0)
    const lines = stdout.trim().split("\n").map((line) => JSON.parse(line))
    assert.isTrue(lines.every(({ type, v }) => v === 1 && typeof type === "string"))
    assert.deepInclude(lines.at(-1), {
      type: "summary",
      state: "Completed",
      failed: 0,
      code: 0,
      units: { removedFiles: 200, removedFolders: 3 }
    })
    grow(root, 2, 2)
    assert.deepStrictEqual(run(["delete", "-q", "root"]), { status: 0, stderr: "", stdout: "" })
  })

  it("refuses what must not be deleted, in one sentence", () => {
    const { place, root, run } = fresh()
    grow(root, 1, 1)
    fs.symlinkSync("root", path.join(place, "link"))
    const refused = (path: string, ...args: ReadonlyArray<string>) => {
      const { status, stderr, stdout } = run(["delete", ...args, path])
      assert.deepStrictEqual([status, stdout], [2, ""], stderr)
      assert.match(stderr, /^[^\n]+\.\n$/)
      return stderr
    }
    assert.include(refused("/"), "is the root of all files")
    assert.include(refused("."), "named by dots")
    assert.include(refused("root/.."), "named by dots")
    assert.include(refused("link/"), "leave out the slash to remove the link, or name the folder itself")
    assert.include(refused("root/d0/f0/"), "is not a folder")
    assert.include(refused("state/jobs.db"), "belongs to the database of jobs")
    assert.include(refused("state", "--trash"), "is the database of jobs")
    assert.include(run(["delete"]).stderr, "What is to be deleted?")
    assert.include(run(["delete", "root", ""]).stderr, "An empty name")
    assert.isTrue(fs.existsSync(path.join(root, "d0/f0")))
  })

  it("names what is missing and does the rest, as rm does", () => {
    const { place, root, run } = fresh()
    const none = run(["delete", "nothing"])
    assert.strictEqual(none.status, 1)
    assert.strictEqual(
      none.stderr,
      `There is nothing at "${place}/nothing": check the spelling, or mount what it is on.\n`
    )
    grow(root, 1, 1)
    const { status, stderr } = run(["delete", "nothing", "root"])
    assert.strictEqual(status, 1)
    assert.include(stderr, `failed   ${place}/nothing: `)
    assert.include(stderr, "it does not exist (ENOENT)")
    assert.isFalse(fs.existsSync(root))
  })

  it("leaves the database of jobs, and says so", () => {
    const { place, run } = fresh()
    fs.mkdirSync(path.join(place, "state"))
    fs.writeFileSync(path.join(place, "state/other"), "x")
    run(["jobs", "list"])
    const dry = run(["delete", "--dry-run", "state"])
    assert.match(dry.stdout, /leave {3}\S*\/jobs\.db: it belongs to the database of this job\n/)
    const { status, stdout } = run(["delete", "state"])
    assert.strictEqual(status, 0)
    assert.match(stdout, /1 deleted, \d skipped/)
    assert.isTrue(fs.existsSync(path.join(place, "state/jobs.db")))
    assert.isFalse(fs.existsSync(path.join(place, "state/other")))
    assert.match(run(["jobs", "list"]).stdout, /done .* delete /)
  })

  it.each([["SIGINT", 130], ["SIGTERM", 143]] as const)(
    "pauses at %s, says how to go on, and goes on",
    async (signal, expected) => {
      const { jobs, place, root, run } = fresh()
      const { child, ended } = await startSlow(place, root)
      const elapsed = startStopwatch()
      child.kill(signal)
      const { code, stderr } = await ended
      assert.strictEqual(code, expected, stderr)
      assert.isBelow(elapsed(), 2000)
      const [job] = jobs()
      assert.include(stderr, `fanout jobs resume ${String(job?.["id"])}`)
      assert.strictEqual(job?.["state"], "Paused")
      assert.isTrue(fs.existsSync(root))
      const resumed = run(["jobs", "resume", String(job?.["id"])])
      assert.strictEqual(resumed.status, 0, resumed.stderr)
      assert.include(resumed.stdout, `is done: ${(folders * files).toLocaleString("en")} deleted`)
      assert.isFalse(fs.existsSync(root))
    }
  )

  it("the same command again goes on after a kill, and others of the same paths are refused", async () => {
    const { jobs, place, root, run } = fresh()
    const { child, ended } = await startSlow(place, root)
    child.kill("SIGKILL")
    await ended
    const other = run(["delete", "--cross-mounts", "root"])
    assert.strictEqual(other.status, 2, other.stderr)
    assert.include(other.stderr, "fanout jobs resume")
    const again = run(["delete", "root"])
    assert.strictEqual(again.status, 0, again.stderr)
    assert.include(again.stderr, `Going on with job ${String(jobs()[0]?.["id"])}`)
    assert.isFalse(fs.existsSync(root))
    assert.lengthOf(jobs(), 1)
  })

  it("does not go on in a folder that took the place of the one it was to delete", async () => {
    const { jobs, place, root, run } = fresh()
    const { child, ended } = await startSlow(place, root)
    child.kill("SIGKILL")
    await ended
    fs.renameSync(root, path.join(place, "old"))
    grow(root, 1, 3)
    const again = run(["delete", "root"])
    assert.strictEqual(again.status, 3, again.stderr)
    assert.match(again.stderr, /"\S+\/root", or the folder it is in, is another one than when the job started/)
    assert.lengthOf(fs.readdirSync(path.join(root, "d0")), 3)
    assert.strictEqual(jobs()[0]?.["state"], "Failed")
    assert.strictEqual(run(["delete", "root"]).status, 0)
    assert.isFalse(fs.existsSync(root))
    assert.isTrue(fs.existsSync(path.join(place, "old")))
  })

  it("names what may not be removed, and a retry removes it once it may", () => {
    const { jobs, place, root, run } = fresh()
    grow(root, 3, 3)
    if (faults.isRoot) spawnSync("chown", ["-R", "65534:65534", root])
    const locked = path.join(root, "d1")
    fs.chmodSync(locked, 0o555)
    const { status, stderr } = run(["delete", "root"], nobody)
    assert.strictEqual(status, 1, stderr)
    for (const name of ["f0", "f1", "f2"]) {
      assert.include(
        stderr,
        `failed   ${locked}/${name}: could not remove it: permission denied (EACCES)`
      )
    }
    assert.include(stderr, "3 failed")
    assert.deepStrictEqual(fs.readdirSync(root), ["d1"])
    fs.chmodSync(locked, 0o755)
    const retried = run(["jobs", "retry", String(jobs(nobody)[0]?.["id"])], nobody)
    assert.strictEqual(retried.status, 0, retried.stderr)
    assert.deepStrictEqual(fs.readdirSync(place), ["state"])
  })

  it("moves to the trash of the desktop, as its conventions have it", () => {
    const { place, root, run } = fresh()
    const home = path.join(place, "home")
    fs.mkdirSync(home)
    grow(root, 1, 1)
    fs.writeFileSync(path.join(place, "[*] 100 %"), "x")
    const { status, stderr, stdout } = run(["delete", "--trash", "root", "[*] 100 %"], [
      "env",
      `HOME=${home}`,
      "XDG_DATA_HOME="
    ])
    assert.strictEqual(status, 0, stderr)
    assert.include(stdout, "2 trashed")
    assert.deepStrictEqual(fs.readdirSync(place).toSorted(), ["home", "state"])
    const trash = path.join(home, ".local/share/Trash")
    const infos = fs.readdirSync(path.join(trash, "info")).map((name) => ({
      info: fs.readFileSync(path.join(trash, "info", name), "utf8"),
      isThere: fs.existsSync(path.join(trash, "files", path.basename(name, ".trashinfo")))
    }))
    assert.deepStrictEqual(
      infos.map(({ info }) => decodeURI(/^Path=(.*)$/m.exec(info)?.[1] ?? "")).toSorted(),
      [path.join(place, "[*] 100 %"), root].toSorted()
    )
    assert.isTrue(infos.every(({ info, isThere }) => isThere && info.startsWith("[Trash Info]\n")))
  })

  it("asks on a terminal where there is much, and not when told not to", (context) => {
    const { place, root } = fresh()
    if (spawnSync("script", ["--version"]).status !== 0) return context.skip("needs script")
    const onTerminal = (answer: string, ...args: ReadonlyArray<string>) => {
      const line = commandLine(["delete", ...args, "root"]).flat().map((part) => `'${part}'`).join(" ")
      const { status, stdout } = spawnSync("script", ["-qec", line, "/dev/null"], {
        encoding: "utf8",
        env: faults.env(place),
        cwd: place,
        input: answer
      })
      return { status, stdout }
    }
    grow(root, 3, 50)
    const no = onTerminal("n\n")
    const asked = stripVTControlCharacters(no.stdout).replaceAll(/\s+/g, " ")
    assert.include(asked, `154 files and folders are in "${root}". Delete them all? [y/N]`)
    assert.include(no.stdout, "Nothing was deleted.")
    assert.strictEqual(no.status, 1)
    assert.lengthOf(fs.readdirSync(root), 3)
    const yes = onTerminal("y\n")
    assert.strictEqual(yes.status, 0, yes.stdout)
    assert.isFalse(fs.existsSync(root))
    grow(root, 3, 50)
    assert.notInclude(onTerminal("", "--yes").stdout, "[y/N]")
    assert.isFalse(fs.existsSync(root))
    grow(root, 3, 5)
    assert.notInclude(onTerminal("").stdout, "[y/N]")
    assert.isFalse(fs.existsSync(root))
  })

  it("deletes names that are not UTF-8", () => {
    const { place, run } = fresh()
    fs.writeFileSync(Buffer.concat([Buffer.from(`${place}/a`), Buffer.from([0xff])]), "x")
    const { status, stderr } = run(["delete"], ["sh", "-c", `exec "$@" "$(printf 'a\\377')"`, "sh"])
    assert.deepStrictEqual({ status, stderr }, { status: 0, stderr: "" })
    assert.deepStrictEqual(fs.readdirSync(place), ["state"])
  })
})
