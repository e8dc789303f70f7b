/**
 * Writes a package from a template, which is a package itself, beside the sources and beside what is bundled of them;
 * what it is called is replaced by the new name.
 */
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import * as Stop from "./exit/Stop.ts"

const template = fileURLToPath(new URL("../templates/job", import.meta.url))

/** npm takes no more. */
const longestName = 214

/** Texts of the template, by what their files are called in a package: npm leaves out some names when it publishes. */
const readTemplate = (): ReadonlyMap<string, string> =>
  new Map(
    fs.readdirSync(template, { recursive: true, encoding: "utf8" })
      .filter((file) => fs.statSync(path.join(template, file)).isFile())
      .map((file) => [file === "gitignore" ? ".gitignore" : file, fs.readFileSync(path.join(template, file), "utf8")])
  )

/** Writes a package to a new folder of its name in the working folder. What is there already stays as it is. */
export const write = Effect.fnUntraced(function*(name: string) {
  const texts = yield* Effect.sync(readTemplate)
  const { dependencies, devDependencies }: Readonly<Record<"dependencies" | "devDependencies", object>> = JSON.parse(
    texts.get("package.json") ?? ""
  )
  if (!/^[a-z][a-z0-9]*(?:-[a-z0-9]+)*$/.test(name) || name.length > longestName) {
    return yield* Stop.usage(
      `A package can't be called "${name}". Use small letters, digits and single dashes, as in send-letters.`
    )
  }
  if (Object.hasOwn({ ...dependencies, ...devDependencies }, name)) {
    return yield* Stop.usage(`"${name}" is a package that the new one needs. Choose another name.`)
  }
  const attempt = (write: () => void) =>
    Effect.try({
      try: write,
      catch: (error) =>
        error instanceof Error && "code" in error && error.code === "EEXIST"
          ? Stop.usage(
            `There is something called "${name}" here already. Choose another name, or move that away first.`
          )
          : Stop.failure(`"${name}" can't be written: ${error instanceof Error ? error.message : String(error)}.`)
    })
  // Fails where there is anything of that name, so what is written and removed below is nobody else's.
  yield* attempt(() => fs.mkdirSync(name))
  yield* attempt(() => {
    for (const [file, text] of texts) {
      const target = path.join(name, file)
      fs.mkdirSync(path.dirname(target), { recursive: true })
      fs.writeFileSync(target, text.replaceAll("example-job", name))
    }
    // What is told is why it could not be written, also where what is there can't be removed either.
  }).pipe(Effect.onError(() => Effect.ignore(attempt(() => fs.rmSync(name, { recursive: true })))))
})
