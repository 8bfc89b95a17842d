"""Reads from a SPIR-V module what a host must know to run it: buffers, push constants, capabilities, its workgroup."""

import struct

MAGIC = 0x07230203
OP_NAME, OP_EXECUTION_MODE, OP_CAPABILITY = 5, 16, 17
OP_TYPE_INT, OP_TYPE_FLOAT, OP_TYPE_VECTOR = 21, 22, 23
OP_TYPE_IMAGE, OP_TYPE_ARRAY, OP_TYPE_STRUCT, OP_TYPE_POINTER = 25, 28, 30, 32
TYPES = (OP_TYPE_INT, OP_TYPE_FLOAT, OP_TYPE_VECTOR, OP_TYPE_IMAGE, OP_TYPE_ARRAY, OP_TYPE_STRUCT, OP_TYPE_POINTER)
OP_CONSTANT, OP_VARIABLE = 43, 59
OP_DECORATE, OP_MEMBER_DECORATE, OP_LOOP_MERGE = 71, 72, 246
ALIASED, NON_WRITABLE, DECORATION_BINDING, DECORATION_OFFSET = 20, 24, 33, 35
LOCAL_SIZE = 17
UNIFORM_CONSTANT, WORKGROUP, PUSH_CONSTANT, STORAGE_BUFFER = 0, 4, 9, 12
DIMENSION_BUFFER = 5
SECOND_VIEW = 16  # bindings i and SECOND_VIEW + i are two views of one operand

# SPIR-V image format: VkFormat
FORMATS = {
    1: "VK_FORMAT_R32G32B32A32_SFLOAT",
    3: "VK_FORMAT_R32_SFLOAT",
    6: "VK_FORMAT_R32G32_SFLOAT",
    21: "VK_FORMAT_R32G32B32A32_SINT",
    24: "VK_FORMAT_R32_SINT",
    30: "VK_FORMAT_R32G32B32A32_UINT",
    33: "VK_FORMAT_R32_UINT",
    35: "VK_FORMAT_R32G32_UINT",
}

# What backends/vulkan asks of a device, in SPIR-V's numbers; those of subgroups only where a shader's metadata has a line of them.
CAPABILITIES = {
    1: "Shader",
    11: "Int64",
    22: "Int16",
    39: "Int8",
    46: "SampledBuffer",
    47: "ImageBuffer",
    49: "StorageImageExtendedFormats",
    4433: "StorageBuffer16BitAccess",
    4448: "StorageBuffer8BitAccess",
}
SUBGROUP_CAPABILITIES = {61: "GroupNonUniform", 65: "GroupNonUniformShuffle"}


class Module:
    """bindings: {binding: VkFormat name, or None for a storage buffer}; parameters: (struct name, bytes) or None;
    workgroup: its invocations in x, y, z; shared_bytes: of a workgroup; has_loops."""

    def __init__(self, code):
        words = struct.unpack(f"<{len(code) // 4}I", code)
        if len(code) % 4 or len(words) < 5 or words[0] != MAGIC:
            raise ValueError("not SPIR-V")
        self.names, self.capabilities, self.workgroup, self.has_loops = {}, [], None, False
        self.types, self.constants, self.binding_of, self.offsets, self.variables = {}, {}, {}, {}, []
        self.decorated, self.readonly_members = {ALIASED: set(), NON_WRITABLE: set()}, set()
        position = 5
        while position < len(words):
            length, opcode = words[position] >> 16, words[position] & 0xFFFF
            if length == 0 or position + length > len(words):
                raise ValueError("broken SPIR-V")
            self._read(opcode, words[position + 1 : position + length])
            position += length
        self.bindings = dict(sorted(self._bindings()))
        self._check_views()
        self.parameters = self._parameters()
        self.shared_bytes = sum(self._bytes(self._pointee(t)) for t, _, storage in self.variables if storage == WORKGROUP)

    def _read(self, opcode, operands):
        if opcode == OP_CAPABILITY:
            self.capabilities.append(operands[0])
        elif opcode == OP_EXECUTION_MODE and operands[1] == LOCAL_SIZE:
            self.workgroup = operands[2:]
        elif opcode == OP_NAME:
            text = struct.pack(f"<{len(operands) - 1}I", *operands[1:])
            self.names[operands[0]] = text.split(b"\0")[0].decode()
        elif opcode in TYPES:
            self.types[operands[0]] = (opcode, operands[1:])
        elif opcode == OP_DECORATE and operands[1] == DECORATION_BINDING:
            self.binding_of[operands[0]] = operands[2]
        elif opcode == OP_DECORATE and operands[1] in self.decorated:
            self.decorated[operands[1]].add(operands[0])
        elif opcode == OP_MEMBER_DECORATE and operands[2] == NON_WRITABLE:
            self.readonly_members.add((operands[0], operands[1]))
        elif opcode == OP_MEMBER_DECORATE and operands[2] == DECORATION_OFFSET:
            self.offsets[operands[0], operands[1]] = operands[3]
        elif opcode == OP_CONSTANT:
            self.constants[operands[1]] = operands[2]
        elif opcode == OP_LOOP_MERGE:
            self.has_loops = True
        elif opcode == OP_VARIABLE:
            self.variables.append(operands[:3])

    def _pointee(self, pointer_type):
        return self.types[pointer_type][1][1]

    def _bindings(self):
        for pointer_type, variable, storage in self.variables:
            if storage == STORAGE_BUFFER:
                yield self.binding_of[variable], None
            elif storage == UNIFORM_CONSTANT:
                opcode, image = self.types.get(self._pointee(pointer_type), (None, None))
                if opcode != OP_TYPE_IMAGE or image[1] != DIMENSION_BUFFER or image[5] != 2:
                    raise ValueError(f"binding {self.binding_of.get(variable)} is neither a buffer nor an imageBuffer")
                if image[6] not in FORMATS:
                    raise ValueError(f"the format of imageBuffer {self.binding_of[variable]} is none of {', '.join(FORMATS.values())}")
                yield self.binding_of[variable], FORMATS[image[6]]

    def _writable(self, pointer_type, variable):
        """Whether a buffer or image is not declared readonly, as a whole or in each of its members."""
        pointee = self._pointee(pointer_type)
        opcode, members = self.types[pointee]
        readonly_members = opcode == OP_TYPE_STRUCT and all((pointee, m) in self.readonly_members for m in range(len(members)))
        return variable not in self.decorated[NON_WRITABLE] and not readonly_members

    def _check_views(self):
        """Where one of an operand's two views is written, both are Aliased and neither is readonly: else they count as different memory."""
        views = {self.binding_of[v]: (v in self.decorated[ALIASED], self._writable(t, v)) for t, v, _ in self.variables if v in self.binding_of}
        for binding, first in views.items():
            second = views.get(SECOND_VIEW + binding)
            if second and (first[1] or second[1]) and not all(first + second):
                raise ValueError(f"bindings {binding} and {SECOND_VIEW + binding} are views of one operand, of which one is written: "
                                 "both must be ALIASED (shaders/common/aliased.glsl) and neither readonly, or there must be one view")

    def _parameters(self):
        for pointer_type, _, storage in self.variables:
            if storage == PUSH_CONSTANT:
                members = self.types[self._pointee(pointer_type)][1]
                if len(members) != 1 or self.types[members[0]][0] != OP_TYPE_STRUCT:
                    raise ValueError("the push constants must be one struct of core/abi")
                return self.names.get(members[0], ""), self._struct_bytes(members[0])
        return None

    def _bytes(self, type_):
        """Of a number, or a vector or array of such."""
        opcode, operands = self.types[type_]
        if opcode in (OP_TYPE_INT, OP_TYPE_FLOAT):
            return operands[0] // 8
        if opcode not in (OP_TYPE_VECTOR, OP_TYPE_ARRAY):
            raise ValueError("shared memory must be of numbers, vectors or arrays of them")
        return self._bytes(operands[0]) * (operands[1] if opcode == OP_TYPE_VECTOR else self.constants[operands[1]])

    def _struct_bytes(self, struct_type):
        """Of members of 4 bytes, arrays of such or structs like these."""
        members = self.types[struct_type][1]
        opcode, last = self.types.get(members[-1], (None, None))
        size = self._struct_bytes(members[-1]) if opcode == OP_TYPE_STRUCT else 4 * (self.constants[last[1]] if opcode == OP_TYPE_ARRAY else 1)
        return self.offsets[struct_type, len(members) - 1] + size
