import { afterAll, afterEach, assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { command } from "./command.ts"

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "fanout-power-"))
const source = path.join(folder, "source")
const disk = path.join(folder, "disk")
const afterwards = path.join(folder, "afterwards")
for (const each of [disk, afterwards, path.join(source, "inner")]) fs.mkdirSync(each, { recursive: true })
for (let i = 0; i < 40; i++) {
  fs.writeFileSync(path.join(source, i % 2 === 0 ? "inner" : ".", `file-${i}`), Buffer.alloc(1000 * i, i))
}
fs.writeFileSync(path.join(source, "large"), Buffer.alloc(9 * 2 ** 20, 7))
fs.symlinkSync("inner", path.join(source, "link"))

const mount = (image: string, on: string) => spawnSync("mount", ["-o", "loop", image, on]).status === 0

afterEach(() => {
  for (const each of [afterwards, disk]) spawnSync("umount", [each])
})

afterAll(() => fs.rmSync(folder, { recursive: true }))

const kinds = ["ext4", "xfs", "btrfs"] as const
const canMake = (kind: string) => process.getuid?.() === 0 && spawnSync(`mkfs.${kind}`, ["-V"]).error === undefined

/** What is left after a power cut right after the command has ended: the image as it is, not unmounted. */
const copyAndCut = (kind: (typeof kinds)[number], ...options: ReadonlyArray<string>) => {
  const image = path.join(folder, `${kind}.img`)
  fs.rmSync(image, { force: true })
  fs.writeFileSync(image, "")
  fs.truncateSync(image, 400 * 2 ** 20)
  assert.strictEqual(spawnSync(`mkfs.${kind}`, ["-q", image]).status, 0)
  assert.isTrue(mount(image, disk))
  fs.mkdirSync(path.join(disk, "copy"))
  fs.writeFileSync(path.join(disk, "copy", "file-39"), "the old one")
  spawnSync("sync", ["-f", disk])
  const args = ["copy", ...options, "-T", source, path.join(disk, "copy"), "--db", path.join(folder, "jobs.db")]
  const { status, stderr } = spawnSync(process.execPath, [...command.slice(1), ...args], { encoding: "utf8" })
  const cut = `${image}.cut`
  spawnSync("cp", ["--sparse=always", image, cut])
  assert.strictEqual(status, 0, stderr)
  // Two of one name can't be mounted at the same time.
  spawnSync("umount", [disk])
  fs.rmSync(image)
  assert.isTrue(mount(cut, afterwards))
  const { stdout } = spawnSync("diff", ["-r", "--no-dereference", source, path.join(afterwards, "copy")], {
    encoding: "utf8"
  })
  spawnSync("umount", [afterwards])
  fs.rmSync(cut)
  return stdout
}

describe("fanout copy --durable", () => {
  for (const kind of kinds) {
    it.skipIf(!canMake(kind))(`is all there on ${kind} after a power cut`, () => {
      assert.strictEqual(copyAndCut(kind, "--durable"), "")
    })
  }

  it.skipIf(!canMake("ext4"))("is what makes the difference", () => {
    assert.notStrictEqual(copyAndCut("ext4"), "")
  })
})
