/**
 * Writes a package from a template. Templates are packages themselves, beside the sources and beside what is bundled
 * of them; what they are called is replaced by the new name.
 */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import type * as PlatformError from "effect/PlatformError"
import * as Schema from "effect/Schema"
import { fileURLToPath } from "node:url"
import * as Stop from "./Stop.ts"

/** Templates that there are. Each is called `example-` and its name. */
type Template = "job"

const folderOf = (template: Template): string => fileURLToPath(new URL(`../templates/${template}`, import.meta.url))

/** npm takes no more. */
const longestName = 214

const Manifest = Schema.fromJsonString(Schema.Struct({
  dependencies: Schema.Record(Schema.String, Schema.String),
  devDependencies: Schema.Record(Schema.String, Schema.String)
}))

/** Says what is wrong with a name, for a package which needs others that have names, too. */
const checkName = Effect.fnUntraced(function*(name: string, taken: ReadonlySet<string>) {
  if (!/^[a-z][a-z0-9]*(?:-[a-z0-9]+)*$/.test(name) || name.length > longestName) {
    return yield* Stop.usage(
      `A package can't be called "${name}". Use small letters, digits and single dashes, as in send-letters.`
    )
  }
  if (taken.has(name)) {
    return yield* Stop.usage(`"${name}" is a package that the new one needs. Choose another name.`)
  }
})

/** What a file of a template is called in a package: npm leaves out some names when it publishes. */
const fileName = (file: string): string => file === "gitignore" ? ".gitignore" : file

/** Writes a package to a new folder of its name in the working folder. What is there already stays as it is. */
export const write = (template: Template, name: string): Effect.Effect<void, Stop.Stop> =>
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const from = folderOf(template)
    const files = yield* fs.readDirectory(from, { recursive: true }).pipe(
      Effect.flatMap(
        Effect.filter((file) => Effect.map(fs.stat(path.join(from, file)), ({ type }) => type === "File"))
      ),
      Effect.flatMap(
        Effect.forEach((file) =>
          Effect.map(fs.readFileString(path.join(from, file)), (text) => [fileName(file), text] as const)
        )
      ),
      Effect.map((files) => new Map(files)),
      // A template is a part of this program.
      Effect.orDie
    )
    const { dependencies, devDependencies } = yield* Effect.orDie(
      Schema.decodeEffect(Manifest)(files.get("package.json") ?? "")
    )
    yield* checkName(name, new Set([dependencies, devDependencies].flatMap(Object.keys)))
    // Fails where there is anything of that name, so what is written and removed below is nobody else's.
    yield* fs.makeDirectory(name)
    yield* Effect.forEach(files, ([file, text]) => {
      const target = path.join(name, file)
      return Effect.andThen(
        fs.makeDirectory(path.dirname(target), { recursive: true }),
        fs.writeFileString(target, text.replaceAll(`example-${template}`, name))
      )
      // What is told is why it could not be written, also where what is there can't be removed either.
    }).pipe(Effect.onError(() => Effect.ignore(fs.remove(name, { recursive: true }))))
  }).pipe(
    Effect.catchTag("PlatformError", (error) =>
      isTaken(error)
        ? Stop.usage(`There is something called "${name}" here already. Choose another name, or move that away first.`)
        : Stop.failure(`"${name}" can't be written: ${error.message}.`)),
    Effect.provide([NodeFileSystem.layer, NodePath.layer])
  )

const isTaken = ({ reason }: PlatformError.PlatformError): boolean => reason._tag === "AlreadyExists"
