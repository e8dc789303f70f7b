import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { createHash } from "node:crypto"
import * as fs from "node:fs"
import { isBuiltin } from "node:module"
import * as os from "node:os"
import * as path from "node:path"
import { publint } from "publint"
import { formatMessage } from "publint/utils"
import { rolldown } from "rolldown"
import { isLong } from "./effort.ts"
import { head, mistakes } from "./mistakes.ts"
import { output, pack, quickly, run } from "./packed.ts"

// What a user gets: the packages as npm would publish them, installed into an empty project outside of this workspace.
const root = path.dirname(import.meta.dirname)
const read = (...names: ReadonlyArray<string>): string => fs.readFileSync(path.join(root, ...names), "utf8")
const libraries = ["core", "ops"]
const packages = [...libraries, "cli"]
const project = fs.mkdtempSync(path.join(os.tmpdir(), "fanout-pack-"))
const bin = (name: string): string => path.join(project, "node_modules/.bin", name)
// What Node has compiled serves the next process, too.
process.env["NODE_COMPILE_CACHE"] = path.join(project, "compiled")

/** Runs a module in the user's project. */
const evaluate = (code: string) => run(project, process.execPath, "--input-type=module", "--eval", code)

/** Checks types of modules in the user's project, and of all that they import. */
const typeCheck = (...args: ReadonlyArray<string>) => {
  const strict = ["--strict", "--exactOptionalPropertyTypes", "--noUncheckedIndexedAccess", "--skipLibCheck", "false"]
  return output(project, bin("tsc"), "--noEmit", "--module", "nodenext", "--target", "es2024", ...strict, ...args)
}

/** Programs on pages, and what the page says that they print. */
const programs = [
  ["README.md", "readme-program"],
  ["docs/copy.md", "copy-program"],
  ["docs/hash-verify-delete.md", "hash-program"]
].map(([page = "", name = ""]) => {
  const after = read(page).split(`<!-- runs in CI: ${name} -->`)[1] ?? ""
  const [, program = "", printed = ""] = /^\s*```ts\n([\s\S]*?)^```\n\s*```text\n([\s\S]*?)^```/m.exec(after) ?? []
  return { page, file: `${name}.ts`, program, printed }
})

beforeAll(async () => {
  const tarballs = await pack(packages, project)
  fs.writeFileSync(path.join(project, "package.json"), `{ "private": true, "type": "module" }`)
  for (const { file, program } of programs) fs.writeFileSync(path.join(project, file), program)
  const { devDependencies } = JSON.parse(read("package.json"))
  const tools = ["effect", "@effect/platform-node", "typescript", "@types/node"].map((name) =>
    `${name}@${devDependencies[name]}`
  )
  await output(project, "npm", "install", ...quickly, ...tarballs, ...tools)
})

afterAll(() => fs.rmSync(project, { recursive: true }))

describe("Pack", () => {
  it.each(packages)("publishes @fanout/%s with a page, a licence and nothing of the workshop", async (name) => {
    const folder = path.join(project, "node_modules/@fanout", name)
    const files = fs.globSync("**/*", { cwd: folder })
    const published = /^(?:README\.md|LICENSE|package\.json|(?:dist|src|bin|templates)(?:\/(?!\.tsbuildinfo)|$))/

    const { messages, pkg } = await publint({ pkgDir: folder, pack: false })

    assert.includeMembers(files, ["README.md", "LICENSE", "package.json", "dist"])
    assert.deepStrictEqual(files.filter((file) => !published.test(file)), [])
    assert.deepStrictEqual(messages.map((message) => formatMessage(message, pkg)), [])
  })

  it("type-checks the programs on pages, declarations included", async () => {
    for (const { page, program } of programs) assert.isNotEmpty(program, page)
    await typeCheck("--types", "node", ...programs.map(({ file }) => file))
  })

  it("type-checks all declarations without types of Node.js, and programs that need none", async () => {
    const lines = libraries.map((name, index) => `export * as from${index} from "@fanout/${name}"\n`)
    fs.writeFileSync(path.join(project, "declarations.ts"), lines.join(""))
    const portable = programs.filter(({ program }) => !program.includes("\"node:"))
    await typeCheck("declarations.ts", ...portable.map(({ file }) => file))
  })

  it("has the page of jobs and its API for an application, below a prefix", async () => {
    fs.writeFileSync(
      path.join(project, "mount.ts"),
      `import * as Ui from "@fanout/cli/ui"
import * as Fanout from "@fanout/core/node"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as Layer from "effect/Layer"

const Jobs = Fanout.layerClientOnly({ filename: "mounted.db" })
const routes = Ui.layer({ prefix: "/admin", database: "mine", title: ({ name }) => name })
const { dispose, handler } = HttpRouter.toWebHandler(
  routes.pipe(Layer.provide([Jobs, HttpServer.layerServices])),
  { disableLogger: true }
)
for (const path of ["", "app.js", "app.css", "api/jobs", "api/about", "../api/jobs"]) {
  const response = await handler(new Request(new URL(path, "http://localhost/admin/")))
  const text = path.startsWith("api") ? await response.text() : ""
  console.log(response.status, response.headers.get("content-type"), text)
}
await dispose()
`
    )
    await typeCheck("--types", "node", "mount.ts")
    assert.deepStrictEqual((await output(project, process.execPath, "mount.ts")).trim().split("\n"), [
      "200 text/html; charset=utf-8 ",
      "200 text/javascript; charset=utf-8 ",
      "200 text/css; charset=utf-8 ",
      `200 application/json {"jobs":[],"unreadable":[],"next":null,"counts":{}}`,
      `200 application/json {"version":"0.1.0","database":"mine","isReadOnly":false,"works":true,"note":""}`,
      "404 null"
    ])
  })

  it("has the compiler name in its first line what a mistaken program lacks", async () => {
    const files = mistakes.map((_, index) => `mistake${index}.ts`)
    for (const [index, { code }] of mistakes.entries()) {
      fs.writeFileSync(path.join(project, `mistake${index}.ts`), head + code)
    }
    const strict = ["--strict", "--skipLibCheck", "--noEmit", "--module", "nodenext", "--target", "es2024"]
    const { stdout } = await run(project, bin("tsc"), "--pretty", "false", ...strict, ...files)
    const errors = stdout.split("\n").filter((line) => /^mistake\d+\.ts\(/.test(line))

    for (const [index, { says, what }] of mistakes.entries()) {
      const first = errors.find((line) => line.startsWith(`mistake${index}.ts(`)) ?? "no error"
      assert.include(first, says, what)
    }
  })

  it.each(programs)("runs the program in $page, which prints what is said there", async ({ file, printed }) => {
    assert.strictEqual(await output(project, process.execPath, file), printed)
    // A person runs it again.
    for (let n = 0; n < (isLong ? 2 : 1); n++) {
      assert.notInclude(await output(project, process.execPath, file), "undefined")
    }
  })

  it("runs threads of what is installed where a bundler has made one file of a program", async () => {
    const bundled = path.join(project, "bundled")
    const build = await rolldown({
      input: path.join(project, "hash-program.ts"),
      external: (id) => isBuiltin(id) || /\b(?:koffi|sharp|blake-hash|trash)\b/.test(id),
      platform: "node"
    })
    await build.write({ file: path.join(bundled, "program.mjs"), codeSplitting: false, minify: true })
    await build.close()
    fs.copyFileSync(path.join(project, "package.json"), path.join(bundled, "package.json"))

    const printed = programs.find(({ file }) => file === "hash-program.ts")?.printed
    assert.strictEqual(await output(bundled, process.execPath, "program.mjs"), printed)
  })

  it.each(libraries)("loads each module of @fanout/%s once, by its path and through the barrel", async (name) => {
    const modules = fs.globSync("*.ts", { cwd: path.join(root, "packages", name, "src") })
      .map((file) => path.basename(file, ".ts")).filter((module) => module !== "index")

    const result = await evaluate(`
      const barrel = await import("@fanout/${name}")
      for (const name of ${JSON.stringify(modules)}) {
        const module = await import("@fanout/${name}/" + name)
        if (name in barrel && barrel[name] !== module) console.log(name, "is loaded twice")
      }
    `)

    assert.deepStrictEqual(result, { status: 0, stderr: "", stdout: "" })
  })

  it.each(libraries)("refuses imports of what is internal to @fanout/%s", async (name) => {
    const { status, stderr } = await evaluate(`await import("@fanout/${name}/internal/x")`)

    assert.strictEqual(status, 1)
    assert.include(stderr, "ERR_PACKAGE_PATH_NOT_EXPORTED")
  })

  it.runIf(process.platform === "linux")("gives the command enough threads for calls of the file system", async () => {
    // Asks libuv for a first call once the command is done, and counts the threads that this starts.
    fs.writeFileSync(
      path.join(project, "probe.cjs"),
      `const fs = require("node:fs")
      process.once("beforeExit", () => fs.stat(".", () => {
        const names = fs.globSync("/proc/self/task/*/comm").map((file) => fs.readFileSync(file, "utf8"))
        console.log(names.filter((name) => name === "libuv-worker\\n").length)
      }))`
    )
    const launcher = path.join(project, "node_modules/@fanout/cli/bin/fanout.js")

    const stdout = await output(project, process.execPath, "--require", "./probe.cjs", launcher, "--version")

    // More where other machines, or programs, answer for files here.
    assert.include(["16", "128"], stdout.trim().split("\n").at(-1))
  })

  it("installs a command that says its version", async () => {
    const { version } = JSON.parse(read("packages/cli/package.json"))

    assert.include(await output(project, "npx", "--no-install", "fanout", "--version"), version)
  })

  it("installs a command that has threads", async () => {
    const lines = await output(project, bin("fanout"), "hash", "--db", "jobs.db", "--algo", "sha256", "package.json")

    const digest = createHash("sha256").update(fs.readFileSync(path.join(project, "package.json"))).digest("hex")
    assert.include(lines, `${digest}  package.json\n`)
  })

  it("installs a command that writes a package which passes its own tests", async () => {
    const made = path.join(project, "send-letters")

    const said = await output(project, bin("fanout"), "new", "job", "send-letters")
    const archive = fs.globSync("fanout-core-*.tgz", { cwd: project }).map((file) => path.join("..", file))
    // A quick run has it take what is installed in the folder above: its versions are the same.
    if (isLong) await output(made, "npm", "install", ...quickly, ...archive)

    assert.match(said, /^Wrote send-letters\b/)
    assert.match(await output(made, "npm", "test"), /^\S+ pass 5\n\S+ fail 0$/m)
    for (const begun of ["Started", "Going on", ...isLong ? ["Going on"] : []]) {
      const lines = (await output(made, "npm", "start", "--", "100")).trimEnd().split("\n")
      assert.include(lines, begun)
      assert.strictEqual(lines.at(-1), "99 done, 1 failed")
    }
  })

  it("installs a command that decodes images in processes of their own", async () => {
    const dot = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    fs.writeFileSync(path.join(project, "dot.png"), Buffer.from(dot, "base64"))

    const lines = await output(project, bin("fanout"), "thumbnail", "--db", "t.db", "dot.png", "-o", "out")

    assert.match(lines, /1 made/)
    assert.lengthOf(fs.globSync("out/*/*/*/*.webp", { cwd: project }), 3)
  })
})
