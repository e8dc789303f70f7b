import { afterAll, assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { command } from "./command.ts"

const [node, launcher] = command
const root = path.join(import.meta.dirname, "../../..")
const template = path.join(import.meta.dirname, "../templates/job")
const folder = fs.mkdtempSync(path.join(os.tmpdir(), "fanout-new-"))

afterAll(() => fs.rmSync(folder, { recursive: true }))

const inFolder = (...args: ReadonlyArray<string>) => {
  const { status, stderr, stdout } = spawnSync(node, [launcher, ...args], { cwd: folder, encoding: "utf8" })
  return { status, stderr, stdout }
}
const filesOf = (name: string) => fs.globSync(["**/*.*", ".gitignore"], { cwd: name }).toSorted()

// That what is written passes its own tests is shown where the packages are installed: `test/Pack.live.test.ts`.
describe("fanout new job", () => {
  it("writes all files of the template under the new name", () => {
    const { status, stderr, stdout } = inFolder("new", "job", "resize-2-photos")

    const made = path.join(folder, "resize-2-photos")
    assert.deepStrictEqual({ status, stderr }, { status: 0, stderr: "" })
    assert.include(stdout, "cd resize-2-photos\n")
    assert.deepStrictEqual(filesOf(made), [".gitignore", ...filesOf(template)])
    const texts = filesOf(made).map((file) => fs.readFileSync(path.join(made, file), "utf8"))
    assert.isEmpty(texts.filter((text) => text.includes("example-job")))
    assert.strictEqual(JSON.parse(fs.readFileSync(path.join(made, "package.json"), "utf8")).name, "resize-2-photos")
  })

  it("leaves what is there as it is", () => {
    fs.mkdirSync(path.join(folder, "there"))
    fs.writeFileSync(path.join(folder, "there/package.json"), "mine")
    fs.writeFileSync(path.join(folder, "file"), "mine")
    fs.symlinkSync("nowhere", path.join(folder, "link"))

    for (const name of ["there", "file", "link"]) {
      assert.deepStrictEqual(inFolder("new", "job", name), {
        status: 2,
        stdout: "",
        stderr: `There is something called "${name}" here already. Choose another name, or move that away first.\n`
      })
    }
    assert.deepStrictEqual(filesOf(path.join(folder, "there")), ["package.json"])
    assert.strictEqual(fs.readFileSync(path.join(folder, "there/package.json"), "utf8"), "mine")
    assert.strictEqual(fs.readFileSync(path.join(folder, "file"), "utf8"), "mine")
  })

  it.each(["", "Letters", "a b", "../a", "a--b", "-", "1a", "ä", "a".repeat(215)])(
    "refuses %j as a name, and says what names are like",
    (name) => {
      const { status, stderr, stdout } = inFolder("new", "job", "--", name)

      assert.deepStrictEqual({ status, stdout }, { status: 2, stdout: "" })
      assert.include(stderr, `"${name}"`)
      assert.include(stderr, "as in send-letters")
    }
  )

  it.each(["effect", "typescript"])("refuses the name of %s, which the package needs", (name) => {
    const { status, stderr } = inFolder("new", "job", name)

    assert.strictEqual(status, 2)
    assert.include(stderr, "needs")
    assert.isFalse(fs.existsSync(path.join(folder, name)))
  })

  it.runIf(process.platform === "linux")("leaves nothing behind where it can't write", () => {
    // Only what is being started may be written, and no file may become longer than nothing.
    const { status, stderr } = spawnSync("prlimit", ["--fsize=0", node, launcher, "new", "job", "full"], {
      cwd: folder,
      encoding: "utf8"
    })

    assert.strictEqual(status, 3, stderr)
    assert.include(stderr, `"full" can't be written`)
    assert.isFalse(fs.existsSync(path.join(folder, "full")))
  })

  it("asks for the versions that this repository is tested with", () => {
    const read = (file: string) => JSON.parse(fs.readFileSync(path.join(root, file), "utf8"))
    const { dependencies, devDependencies } = read("packages/cli/templates/job/package.json")
    const { version } = read("packages/core/package.json")
    const own: Readonly<Record<string, string>> = { ...read("package.json").devDependencies, "@fanout/core": version }

    for (const [name, wanted] of Object.entries({ ...dependencies, ...devDependencies })) {
      assert.strictEqual(wanted, own[name], name)
    }
  })
})
