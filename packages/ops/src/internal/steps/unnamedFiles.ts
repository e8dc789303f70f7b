/**
 * Remembers on which devices no file can be written before it has a name, so that not every file is tried in vain.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type * as Files from "../../Files.ts"
import type { FilesError } from "../../FilesError.ts"

/** Devices without such files, as far as they are known. */
interface UnnamedFiles {
  readonly missingOn: Set<bigint>
}

export const makeUnsafe = (): UnnamedFiles => ({ missingOn: new Set() })

/** Reference to what the present job knows of devices; outside of one nothing is remembered. */
export const UnnamedFiles = Context.Reference<UnnamedFiles | undefined>("@fanout/ops/internal/unnamedFiles", {
  defaultValue: () => undefined
})

// What file systems and kernels without such files answer; an old kernel takes the folder for what is to be written.
const unsupported = new Set(["ENOTSUP", "EOPNOTSUPP", "EISDIR", "ENOSYS", "EINVAL"])

const isUnsupported = (code: string): boolean => unsupported.has(code)

const isKnown = Effect.fnUntraced(function*(folder: Files.Folder) {
  const known = yield* UnnamedFiles
  // Nothing is asked of the disk as long as it works everywhere.
  if (known === undefined || known.missingOn.size === 0) return false
  return known.missingOn.has((yield* folder.stat).device)
})

/** Keeps in mind that there is no such file on the device of this folder. */
export const rememberMissing = Effect.fnUntraced(function*(folder: Files.Folder) {
  const known = yield* UnnamedFiles
  if (known !== undefined) known.missingOn.add((yield* folder.stat).device)
})

/** Creates a file without a name; `None` where there is no such thing. */
export const create = (
  folder: Files.Folder
): Effect.Effect<Option.Option<Files.UnnamedFile>, FilesError, Scope.Scope> =>
  Effect.flatMap(isKnown(folder), (isMissing) =>
    isMissing ? Effect.succeedNone : Effect.catchIf(
      Effect.asSome(folder.createUnnamed),
      ({ code }) => isUnsupported(code),
      () => Effect.as(rememberMissing(folder), Option.none())
    ))
