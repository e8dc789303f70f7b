import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { commandLine } from "./command.ts"
import { isRoot, mayMount, nobody, works } from "./faults.ts"

const home = fs.mkdtempSync(path.join(os.tmpdir(), "fanout-rights-"))
afterAll(() => fs.rmSync(home, { recursive: true, force: true }))

const at = (name: string) => path.join(home, name)

const list = (name: string, prefix: ReadonlyArray<string>) => {
  const args = commandLine(["jobs", "list", "--db", at(name)], prefix)
  return spawnSync(...args, { encoding: "utf8", env: { ...process.env, HOME: home } })
}

describe.skipIf(!isRoot || !works("setpriv", "--version"))("a database without rights (needs root, setpriv)", () => {
  beforeAll(() => {
    for (const folder of ["closed", "shut"]) {
      fs.mkdirSync(at(folder))
      assert.strictEqual(list(`${folder}/jobs.db`, []).status, 0)
      fs.chmodSync(at(`${folder}/jobs.db`), 0o666)
    }
    fs.chmodSync(home, 0o755)
    fs.chmodSync(at("closed"), 0o700)
    fs.chmodSync(at("shut"), 0o755)
  })

  it.each([
    ["a folder that may not be entered", "closed/jobs.db", "closed/jobs.db"],
    ["a folder that nothing may be made in", "shut/new.db", "shut/new.db"],
    ["a new folder", "shut/new/jobs.db", "shut/new"],
    ["a folder that the log may not be made in", "shut/jobs.db", "shut"]
  ])("in %s is told by what is closed, with the way out", (_, name, closed) => {
    const { status, stderr } = list(name, nobody)
    assert.strictEqual(status, 3)
    const [sentence = "", rest = ""] = stderr.split("permission denied (EACCES): ")
    assert.strictEqual(sentence, "The job store failed to open: ")
    assert.isTrue(rest.startsWith(name === closed ? `${at(name)}. ` : `${at(closed)} (${at(name)}). `), stderr)
    assert.include(rest, "`ls -ld` tells whose")
  })
})

describe.skipIf(!mayMount)("a database on a file system (needs root, mounts)", () => {
  it("that is full, or may only be read, is told", () => {
    for (const folder of ["full", "read"]) fs.mkdirSync(at(folder))
    assert.strictEqual(list("read/jobs.db", []).status, 0)
    const mounts = `mount -t tmpfs -o size=64k tmpfs "$0"/full && (cat /dev/zero > "$0"/full/fill 2>/dev/null;
      mount --bind "$0"/read "$0"/read && mount -o remount,ro,bind "$0"/read && exec "$@")`
    const mounted = ["unshare", "-m", "sh", "-c", mounts, home]
    const full = list("full/jobs.db", mounted)
    assert.include(full.stderr, `no space is left (${at("full/jobs.db")}). Free space there`)
    const refused = "The job store failed to open: it can't be written: read-only file system (EROFS): "
    for (const name of ["read/jobs.db", "read/new.db"]) {
      assert.include(list(name, mounted).stderr, `${refused}${at(name)}. Another database can be named`)
    }
  })
})

describe.skipIf(!isRoot)("a database that others have a say in (needs root)", () => {
  beforeAll(() => fs.chmodSync(home, 0o755))

  const other = 65_534
  const run = (db: string, args: ReadonlyArray<string>, prefix: ReadonlyArray<string> = [], more = {}) => {
    const env = { ...process.env, HOME: home, FANOUT_DB: db, ...more }
    return spawnSync(...commandLine(args, prefix), { encoding: "utf8", env })
  }
  let count = 0
  /** A database of root with a copy in it, in a folder of its own. */
  const fresh = () => {
    const folder = at(`exposed-${count++}`)
    const db = path.join(folder, "inner/jobs.db")
    fs.mkdirSync(folder)
    fs.writeFileSync(path.join(folder, "source"), "")
    assert.strictEqual(run(db, ["copy", path.join(folder, "source"), path.join(folder, "before")]).status, 0)
    return { folder, inner: path.dirname(db), db }
  }

  it.each<[string, (place: ReturnType<typeof fresh>) => string | void]>([
    ["a file of another", ({ db }) => fs.chownSync(db, other, other)],
    ["a file that a group can write to", ({ db }) => fs.chmodSync(db, 0o660)],
    ["a folder of another", ({ inner }) => fs.chownSync(inner, other, other)],
    ["a folder that everybody can write to", ({ inner }) => fs.chmodSync(inner, 0o777)],
    ["a folder above of another", ({ folder }) => fs.chownSync(folder, other, other)],
    ["a folder above that a group can write to", ({ folder }) => fs.chmodSync(folder, 0o775)],
    ["a log of another", ({ db }) => {
      fs.writeFileSync(`${db}-wal`, "")
      fs.chownSync(`${db}-wal`, other, other)
    }],
    ["a link of another", ({ db, folder }) => {
      const link = path.join(folder, "link")
      fs.symlinkSync(path.dirname(db), link)
      fs.lchownSync(link, other, other)
      return path.join(link, "jobs.db")
    }],
    ["a link to a folder of another", ({ db, folder, inner }) => {
      fs.chownSync(inner, other, other)
      fs.symlinkSync(path.dirname(db), path.join(folder, "link"))
      return path.join(folder, "link/jobs.db")
    }],
    ["a link that leads through a folder of another", ({ db, folder }) => {
      const others = path.join(folder, "others")
      fs.mkdirSync(others)
      fs.symlinkSync(path.dirname(db), path.join(others, "on"))
      fs.symlinkSync("others/on", path.join(folder, "link"))
      fs.chownSync(others, other, other)
      return path.join(folder, "link/jobs.db")
    }],
    ["a link to no file yet, in a folder of another", ({ folder }) => {
      const others = path.join(folder, "others")
      fs.mkdirSync(others)
      fs.chownSync(others, other, other)
      fs.symlinkSync("others/jobs.db", path.join(folder, "link"))
      return path.join(folder, "link")
    }],
    ["no file yet, in a folder of another", ({ inner }) => {
      fs.chownSync(inner, other, other)
      return path.join(inner, "new/jobs.db")
    }]
  ])("is not obeyed by root: %s", (_, expose) => {
    const place = fresh()
    const db = expose(place) ?? place.db
    const target = path.join(place.folder, "copy")

    const { status, stderr, stdout } = run(db, ["copy", path.join(place.folder, "source"), target])

    assert.deepStrictEqual({ status, stdout }, { status: 5, stdout: "" })
    assert.match(
      stderr,
      /^Root obeys no database that others can change, and .*"\/.*\. Run fanout as its user, or name /
    )
    assert.include(stderr, path.basename(home))
    assert.isFalse(fs.existsSync(target))
    assert.isFalse(fs.existsSync(path.join(place.folder, "others/jobs.db")))
    const doctor = run(db, ["doctor"])
    assert.strictEqual(doctor.status, 1)
    assert.match(doctor.stdout, /BAD +database +Root obeys no database/)
  })

  it("is not obeyed where the home is another's, nor is a secret that others can write", () => {
    const { db, folder } = fresh()
    fs.chownSync(folder, other, other)
    const { status, stderr } = run("", ["jobs", "list"], [], { HOME: folder })
    assert.strictEqual(status, 5)
    assert.include(stderr, `"${folder}" belongs to user ${other}`)
    const page = run(":memory:", ["ui", "--port", "0"], ["timeout", "20"], { HOME: folder, XDG_STATE_HOME: "" })
    assert.strictEqual(page.status, 5)
    assert.include(page.stderr, `"${folder}" belongs to user ${other}`)
    assert.deepStrictEqual(fs.readdirSync(folder).toSorted(), ["before", "inner", "source"])
    fs.chownSync(folder, 0, 0)
    const secret = path.join(folder, "secret")
    fs.writeFileSync(secret, "a secret of more than thirty-two characters", { mode: 0o666 })
    fs.chmodSync(secret, 0o666)
    const work = run(db, ["jobs", "work", "--cluster", "localhost"], [], { FANOUT_CLUSTER_SECRET_FILE: secret })
    assert.strictEqual(work.status, 5)
    assert.include(work.stderr, `others can write to "${secret}"`)
  })

  it("is obeyed in a sticky folder, by its own user, and by users that share it", () => {
    const { db, folder, inner } = fresh()
    fs.chmodSync(folder, 0o1777)
    assert.strictEqual(run(db, ["jobs", "list"]).status, 0)
    for (const file of [folder, inner, db]) fs.chownSync(file, other, other)
    assert.strictEqual(run(db, ["jobs", "list"], nobody).status, 0)
    fs.chmodSync(inner, 0o777)
    fs.chmodSync(db, 0o666)
    assert.strictEqual(
      run(db, ["jobs", "list"], ["setpriv", "--reuid=65533", "--regid=65533", "--clear-groups"]).status,
      0
    )
  })

  it.skipIf(!works("unshare", "--user", "--map-root-user", "true"))(
    "is obeyed by who is root of a namespace alone",
    () => {
      const { db } = fresh()
      assert.strictEqual(run(db, ["jobs", "list"], ["unshare", "--user", "--map-root-user"]).status, 0)
    }
  )
})
