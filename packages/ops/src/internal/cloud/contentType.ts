/**
 * Types of content by the extensions of names. The command has the table in a file of its own, which it loads for the
 * first address.
 */
import mime from "mime"

/** The type of what has this key, if its extension has one. */
export const contentTypeOf = (key: string): string | undefined => mime.getType(`/${key}`) ?? undefined
