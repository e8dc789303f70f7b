/**
 * Refuses what can't be done with objects, before anything is done.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type { Request } from "../../Copy.ts"
import * as FilePath from "../../FilePath.ts"
import * as Files from "../../Files.ts"
import { DestinationError, DestinationReason } from "../../FilesError.ts"
import { parseAddress } from "../../ObjectStore.ts"

/** Properties that no object has. */
const properties: ReadonlySet<string> = new Set(["owner", "links", "xattr"])

/** Why a copy to an object can't be done with the options of a request, if it can't. */
const optionIn = ({ preserve = [], sources, verify }: Request): string | undefined => {
  // What a store copies itself does not pass here.
  if (verify === true && sources.some(FilePath.isAddress)) {
    return `A copy between addresses can't be made with "verify": leave it out, and compare by fanout verify afterwards`
  }
  const what = preserve.find((property) => properties.has(property))
  return what === undefined ? undefined : `An object can't be copied to with "${what}": leave it out`
}

/** What is wrong with an address, if anything is. */
const problemOf = (path: FilePath.FilePath): string | undefined => {
  const address = parseAddress(path)
  if (Result.isFailure(address)) return address.failure.message.replace(/\.$/, "")
  const names = address.success.key.replace(/\/+$/, "").split("/")
  return names.some((name) => name === "." || name === ".." || (name === "" && names.length > 1))
    ? `"${FilePath.display(path)}" has a name that is empty, . or .., which no file has: name what is in there`
    : undefined
}

/** The first thing that is wrong with addresses among these paths. */
const problemIn = (paths: ReadonlyArray<FilePath.FilePath>): string | undefined =>
  paths.filter(FilePath.isAddress).map(problemOf).find((problem) => problem !== undefined)

/** Why an address does not tell what it names, if one does not: an object and a folder may have one name. */
const ambiguityIn = Effect.fnUntraced(function*(paths: ReadonlyArray<FilePath.FilePath>) {
  const { find } = yield* Files.Files
  for (const path of paths.filter((path) => FilePath.isAddress(path) && !path.endsWith("/"))) {
    const folder = FilePath.make(`${path}/`)
    // What can't be looked at is told of by what needs it.
    const found = yield* Effect.orElseSucceed(find(path), Option.none<Files.FileStat>)
    if (!Option.exists(found, ({ kind }) => kind === "file")) continue
    if (Option.isNone(yield* Effect.orElseSucceed(find(folder), Option.none<Files.FileStat>))) continue
    const [shown, both] = [FilePath.display(path), FilePath.display(FilePath.parent(path))]
    return `"${shown}" is an object, and there is a folder "${shown}/": name that, or "${both}/" with rules for both`
  }
  return undefined
})

/** Why sources can't be read by one job, if they can't: some are files, and some are objects. */
const mixed = (sources: ReadonlyArray<FilePath.FilePath>, does: string, done: string): string | undefined =>
  sources.some(FilePath.isAddress) && !sources.every(FilePath.isAddress)
    ? `Files and objects can't be ${done} by one job: ${does} them one after the other`
    : undefined

const failing = Effect.fnUntraced(function*(sources: ReadonlyArray<FilePath.FilePath>, problem: string | undefined) {
  const why = problem ?? (yield* ambiguityIn(sources))
  if (why !== undefined) yield* new DestinationError({ reason: DestinationReason.cases.Address.make({ why }) })
})

/** Fails where a request can't be done with objects. */
export const refuse = (request: Request) => {
  const { destination, sources } = request
  const problem = problemIn([...sources, destination]) ?? mixed(sources, "copy", "copied")
  return failing(sources, problem ?? (FilePath.isAddress(destination) ? optionIn(request) : undefined))
}

/** Fails where one of two trees is an address and none that can be walked in. */
export const refuseTrees = (...trees: readonly [FilePath.FilePath, FilePath.FilePath]) =>
  failing(trees, problemIn(trees))

/** Fails where sources can't be hashed by one job. */
export const refuseSources = (sources: ReadonlyArray<FilePath.FilePath>) =>
  failing(sources, problemIn(sources) ?? mixed(sources, "hash", "hashed"))
