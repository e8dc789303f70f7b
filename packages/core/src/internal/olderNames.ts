/**
 * Fields of errors that have other names than when they were stored first.
 */
import * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"
import * as SchemaTransformation from "effect/SchemaTransformation"

const known = new WeakMap<SchemaAST.Declaration, SchemaAST.Declaration>()

/** The schema of a class, which reads also what was stored when its field `to` was called `from`. */
export const readsOlder = (ast: SchemaAST.Declaration, from: string, to: string): SchemaAST.Declaration => {
  const found = known.get(ast)
  if (found !== undefined) return found
  const stored = SchemaAST.toEncoded(ast)
  if (!SchemaAST.isObjects(stored)) throw new Error("Only a class with fields has fields of older names")
  const older = Schema.Struct(Object.fromEntries(
    stored.propertySignatures.map(({ name, type }) => [name === to ? from : name, Schema.make<Schema.Top>(type)])
  ))
  const lifting = SchemaTransformation.transform<object, object>({
    decode: (value) =>
      Object.fromEntries(Object.entries(value).map(([key, field]) => [to in value || key !== from ? key : to, field])),
    encode: (value) => value
  })
  const lifted = SchemaAST.decodeTo(Schema.Union([Schema.make<Schema.Top>(stored), older]).ast, ast, lifting)
  known.set(ast, lifted)
  return lifted
}
