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
