/**
 * Calls a file system so that links are followed in the paths that it is given, for copies of what they lead to.
 */
import * as Effect from "effect/Effect"
import type { FilePath } from "../../FilePath.ts"
import type * as Files from "../../Files.ts"
import type { Transfer } from "../path/destination.ts"

type Service = Files.Files["Service"]

/** What a path leads to is found first, and listed or looked at like any other real path then. */
export const following = (files: Service): Pick<Service, "list" | "lstat" | "folder" | "folders"> => ({
  folder: (path) => Effect.flatMap(files.realPath(path), files.folder),
  folders: (path) => Effect.flatMap(files.realPath(path), files.folders),
  list: (path) => Effect.flatMap(files.realPath(path), files.list),
  lstat: files.stat
})

/** How a walk over the sources of a copy follows links: not into what the copy is written to. */
export const followOf = ({ request, transfers }: {
  readonly request: { readonly dereference?: true }
  readonly transfers: ReadonlyArray<Transfer>
}): { readonly except: ReadonlyArray<FilePath> } | undefined =>
  request.dereference === true ? { except: transfers.map(({ target }) => target) } : undefined
